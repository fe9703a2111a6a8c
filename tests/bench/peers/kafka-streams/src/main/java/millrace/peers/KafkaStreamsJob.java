package millrace.peers;

import java.time.Duration;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.Suppressed;
import org.apache.kafka.streams.kstream.Suppressed.BufferConfig;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.state.Stores;
import org.apache.kafka.streams.state.WindowStore;

/**
 * One-minute candles and three indicators of their closes on Kafka Streams, in its DSL. "Guide" is
 * the Streams Developer Guide on the project's site; what it leaves open was tried out on the job.
 */
public final class KafkaStreamsJob {
    private static final Duration MINUTE = Duration.ofMinutes(1);
    private static final Duration GRACE = Duration.ofSeconds(2);

    /**
     * Guide, "Window final results" and javadoc of Materialized.withRetention(): a window is kept at
     * least for its length and grace, and a store takes no update of one that lies further back than
     * its retention. A replay moves stream time by an hour and more between two commits, at which
     * the cache writes windows to the store: with the default retention they would be lost.
     */
    private static final Duration RETENTION = Duration.ofHours(24);

    private KafkaStreamsJob() {}

    public static void main(String[] args) throws InterruptedException {
        final Job job = Job.of(args);
        final Progress progress = new Progress(job.records());
        try (KafkaStreams streams = new KafkaStreams(topology(job), settings(job))) {
            streams.start();
            progress.await();
        } // closing commits: what the cache and the suppression hold goes out
        progress.print();
    }

    private static Properties settings(Job job) {
        final Properties to = new Properties();
        to.put(StreamsConfig.APPLICATION_ID_CONFIG, job.id());
        to.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, job.brokers());
        to.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, job.guarantee());
        to.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, job.workers());
        to.put(StreamsConfig.STATE_DIR_CONFIG, job.folder());
        // Guide, "Memory Management", record caches: the cache takes in the updates of a window
        // until the next commit, so only the last one is written, logged and sent on. The larger
        // both are, the fewer records; the default interval of exactly_once_v2 is 100 ms, 1 s is
        // what millrace takes while it is behind.
        to.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 1000);
        to.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 64L << 20);
        // Guide, "Configuring a Streams Application", parameters of the consumer and the producer:
        // larger fetches, polls and batches than the defaults, which are chosen for latency.
        to.put(StreamsConfig.BUFFERED_RECORDS_PER_PARTITION_CONFIG, 10000);
        consumer(to, ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
        consumer(to, ConsumerConfig.MAX_POLL_RECORDS_CONFIG, 10000);
        consumer(to, ConsumerConfig.MAX_PARTITION_FETCH_BYTES_CONFIG, 8 << 20);
        to.put(StreamsConfig.producerPrefix(ProducerConfig.BATCH_SIZE_CONFIG), 256 << 10);
        return to;
    }

    private static void consumer(Properties to, String name, Object value) {
        to.put(StreamsConfig.consumerPrefix(name), value);
    }

    private static Topology topology(Job job) {
        final StreamsBuilder builder = new StreamsBuilder();
        final Serde<String> pairs = Serdes.String();
        final Serde<Trade> trades = Stored.trades();
        builder.addStateStore(
                Stores.keyValueStoreBuilder(
                                Stores.inMemoryKeyValueStore(IndicatorsStep.STORE),
                                pairs,
                                Stored.indicators())
                        .withCachingEnabled());
        // Guide, "State Stores": in memory, because the state is small; both kinds are backed by a
        // changelog. Final results by suppress(): with EmitStrategy.onWindowClose() there is no
        // cache in front of the store, and the job takes 1.3 times the CPU time.
        final Materialized<String, Candle, WindowStore<Bytes, byte[]>> store =
                Materialized.<String, Candle>as(
                                Stores.inMemoryWindowStore("candles", RETENTION, MINUTE, false))
                        .withKeySerde(pairs)
                        .withValueSerde(Stored.candles())
                        .withCachingEnabled();
        builder.stream(job.in(), Consumed.with(pairs, trades))
                .groupByKey(Grouped.with(pairs, trades))
                .windowedBy(TimeWindows.ofSizeAndGrace(MINUTE, GRACE))
                .aggregate(Candle::new, KafkaStreamsJob::add, store)
                .suppress(Suppressed.untilWindowCloses(BufferConfig.unbounded()))
                .toStream()
                .process(IndicatorsStep::new, IndicatorsStep.STORE)
                .to(job.out(), Produced.with(pairs, Serdes.ByteArray()));
        return builder.build();
    }

    private static Candle add(String pair, Trade trade, Candle candle) {
        Progress.record();
        return candle.add(trade);
    }
}
