package millrace.peers;

import java.io.IOException;
import org.apache.flink.api.common.serialization.AbstractDeserializationSchema;

/** Trades from JSON. */
final class TradeSchema extends AbstractDeserializationSchema<Trade> {
    private static final long serialVersionUID = 1;

    private transient TradeReader reader;

    @Override
    public void open(InitializationContext context) {
        reader = new TradeReader();
    }

    @Override
    public Trade deserialize(byte[] json) throws IOException {
        Progress.record();
        return reader.read(json);
    }
}
