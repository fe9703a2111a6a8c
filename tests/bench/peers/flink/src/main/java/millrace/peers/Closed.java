package millrace.peers;

/** A candle whose window has closed. */
public final class Closed {
    public String pair;
    public long startMs;
    public Candle candle;
}
