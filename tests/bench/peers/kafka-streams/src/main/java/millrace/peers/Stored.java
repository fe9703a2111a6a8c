package millrace.peers;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.function.Function;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;

/** How trades are read, and how the job's state stands in its stores. */
final class Stored {
    private Stored() {}

    static Serde<Trade> trades() {
        final TradeReader reader = new TradeReader();
        return Serdes.serdeFrom(
                (topic, trade) -> {
                    throw new UnsupportedOperationException("trades are only read");
                },
                (topic, json) -> {
                    try {
                        return reader.read(json);
                    } catch (IOException e) {
                        throw new UncheckedIOException(e);
                    }
                });
    }

    static Serde<Candle> candles() {
        return of(Candle::toBytes, Candle::fromBytes);
    }

    static Serde<Indicators> indicators() {
        return of(Indicators::toBytes, Indicators::fromBytes);
    }

    private static <T> Serde<T> of(Function<T, byte[]> write, Function<byte[], T> read) {
        return Serdes.serdeFrom(
                (topic, value) -> value == null ? null : write.apply(value),
                (topic, bytes) -> bytes == null ? null : read.apply(bytes));
    }
}
