package millrace.peers;

import org.apache.kafka.streams.kstream.Windowed;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;

/** Adds the indicators of its pair to each closed candle. */
final class IndicatorsStep implements Processor<Windowed<String>, Candle, String, byte[]> {
    static final String STORE = "indicators";

    private ProcessorContext<String, byte[]> context;
    private KeyValueStore<String, Indicators> states;

    @Override
    public void init(ProcessorContext<String, byte[]> initial) {
        context = initial;
        states = initial.getStateStore(STORE);
    }

    @Override
    public void process(Record<Windowed<String>, Candle> closed) {
        final String pair = closed.key().key();
        final Candle candle = closed.value();
        Indicators state = states.get(pair);
        if (state == null) {
            state = new Indicators();
        }
        state.add(candle.close);
        states.put(pair, state);
        final long startMs = closed.key().window().start();
        context.forward(closed.withKey(pair).withValue(Row.json(pair, startMs, candle, state)));
    }
}
