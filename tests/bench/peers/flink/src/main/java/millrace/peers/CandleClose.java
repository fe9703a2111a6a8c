package millrace.peers;

import org.apache.flink.streaming.api.functions.windowing.ProcessWindowFunction;
import org.apache.flink.streaming.api.windowing.windows.TimeWindow;
import org.apache.flink.util.Collector;

/** Says which pair and window a closed candle belongs to. */
final class CandleClose extends ProcessWindowFunction<Candle, Closed, String, TimeWindow> {
    private static final long serialVersionUID = 1;

    @Override
    public void process(
            String pair, Context context, Iterable<Candle> candles, Collector<Closed> out) {
        final Closed closed = new Closed();
        closed.pair = pair;
        closed.startMs = context.window().getStart();
        closed.candle = candles.iterator().next();
        out.collect(closed);
    }
}
