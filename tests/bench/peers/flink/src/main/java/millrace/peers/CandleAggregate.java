package millrace.peers;

import org.apache.flink.api.common.functions.AggregateFunction;

/** The candle of an open window; trades are added as they come, none is kept. */
final class CandleAggregate implements AggregateFunction<Trade, Candle, Candle> {
    private static final long serialVersionUID = 1;

    @Override
    public Candle createAccumulator() {
        return new Candle();
    }

    @Override
    public Candle add(Trade trade, Candle candle) {
        return candle.add(trade);
    }

    @Override
    public Candle getResult(Candle candle) {
        return candle;
    }

    @Override
    public Candle merge(Candle one, Candle other) {
        throw new UnsupportedOperationException("tumbling windows are never merged");
    }
}
