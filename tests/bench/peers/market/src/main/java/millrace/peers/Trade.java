package millrace.peers;

/** A trade as it stands in the topic; public fields, because Flink serialises those by itself. */
public final class Trade {
    public long timeUs;
    public String pair;
    public double price;
    public double quantity;
    public long tradeId;
}
