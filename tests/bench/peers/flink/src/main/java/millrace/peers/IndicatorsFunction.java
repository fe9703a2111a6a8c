package millrace.peers;

import java.io.IOException;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.util.Collector;

/** Adds the indicators of its pair to each closed candle. */
final class IndicatorsFunction extends KeyedProcessFunction<String, Closed, Output> {
    private static final long serialVersionUID = 1;

    private transient ValueState<Indicators> states;

    @Override
    public void open(OpenContext context) {
        states = getRuntimeContext().getState(
                new ValueStateDescriptor<>("indicators", Indicators.class));
    }

    @Override
    public void processElement(Closed closed, Context context, Collector<Output> out)
            throws IOException {
        Indicators state = states.value();
        if (state == null) {
            state = new Indicators();
        }
        state.add(closed.candle.close);
        states.update(state);
        final Output output = new Output();
        output.pair = closed.pair;
        output.json = Row.json(closed.pair, closed.startMs, closed.candle, state);
        out.collect(output);
    }
}
