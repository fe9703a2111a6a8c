package millrace.peers;

import java.nio.ByteBuffer;

/** The trades of one pair in one minute; open and close are the first and last by time and id. */
public final class Candle {
    public static final int BYTES = 11 * Long.BYTES;

    public double open;
    public double high;
    public double low;
    public double close;
    public double volume;
    public double notional;
    public long openUs;
    public long openId;
    public long closeUs;
    public long closeId;
    public long trades;

    public Candle add(Trade trade) {
        final double price = trade.price;
        final long us = trade.timeUs;
        if (trades == 0) {
            open = high = low = close = price;
            openUs = closeUs = us;
            openId = closeId = trade.tradeId;
        } else {
            high = Math.max(high, price);
            low = Math.min(low, price);
            if (us < openUs || (us == openUs && trade.tradeId < openId)) {
                open = price;
                openUs = us;
                openId = trade.tradeId;
            }
            if (us > closeUs || (us == closeUs && trade.tradeId >= closeId)) {
                close = price;
                closeUs = us;
                closeId = trade.tradeId;
            }
        }
        volume += trade.quantity;
        notional += price * trade.quantity;
        trades++;
        return this;
    }

    public byte[] toBytes() {
        final ByteBuffer to = ByteBuffer.allocate(BYTES);
        to.putDouble(open).putDouble(high).putDouble(low).putDouble(close);
        to.putDouble(volume).putDouble(notional);
        to.putLong(openUs).putLong(openId).putLong(closeUs).putLong(closeId).putLong(trades);
        return to.array();
    }

    public static Candle fromBytes(byte[] bytes) {
        final ByteBuffer from = ByteBuffer.wrap(bytes);
        final Candle candle = new Candle();
        candle.open = from.getDouble();
        candle.high = from.getDouble();
        candle.low = from.getDouble();
        candle.close = from.getDouble();
        candle.volume = from.getDouble();
        candle.notional = from.getDouble();
        candle.openUs = from.getLong();
        candle.openId = from.getLong();
        candle.closeUs = from.getLong();
        candle.closeId = from.getLong();
        candle.trades = from.getLong();
        return candle;
    }
}
