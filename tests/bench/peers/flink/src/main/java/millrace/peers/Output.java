package millrace.peers;

/** A record of the output topic. */
public final class Output {
    public String pair;
    public byte[] json;
}
