package millrace.peers;

import java.nio.charset.StandardCharsets;
import org.apache.flink.api.common.serialization.SerializationSchema;

/** One half of a record of the output topic; classes, since Flink looks at their type parameter. */
abstract class OutputSchema implements SerializationSchema<Output> {
    private static final long serialVersionUID = 1;

    static final class Key extends OutputSchema {
        private static final long serialVersionUID = 1;

        @Override
        public byte[] serialize(Output output) {
            return output.pair.getBytes(StandardCharsets.UTF_8);
        }
    }

    static final class Value extends OutputSchema {
        private static final long serialVersionUID = 1;

        @Override
        public byte[] serialize(Output output) {
            return output.json;
        }
    }
}
