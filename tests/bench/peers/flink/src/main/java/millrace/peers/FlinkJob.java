package millrace.peers;

import java.io.File;
import java.time.Duration;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.configuration.CheckpointingOptions;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.PipelineOptions;
import org.apache.flink.configuration.StateBackendOptions;
import org.apache.flink.connector.base.DeliveryGuarantee;
import org.apache.flink.connector.kafka.sink.KafkaRecordSerializationSchema;
import org.apache.flink.connector.kafka.sink.KafkaSink;
import org.apache.flink.connector.kafka.sink.TransactionNamingStrategy;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.core.execution.CheckpointingMode;
import org.apache.flink.core.execution.JobClient;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.windowing.assigners.TumblingEventTimeWindows;

/**
 * One-minute candles and three indicators of their closes on Flink's DataStream API, in a cluster
 * inside of this process. Names in quotes are pages of Flink's documentation.
 */
public final class FlinkJob {
    private FlinkJob() {}

    public static void main(String[] args) throws Exception {
        final Job job = Job.of(args);
        final StreamExecutionEnvironment environment =
                StreamExecutionEnvironment.createLocalEnvironment(job.workers(), settings(job));
        final WatermarkStrategy<Trade> watermarks =
                WatermarkStrategy.<Trade>forBoundedOutOfOrderness(Duration.ofSeconds(2))
                        .withTimestampAssigner((trade, kafkaMs) -> trade.timeUs / 1000);
        environment
                .fromSource(source(job), watermarks, "trades")
                .keyBy(trade -> trade.pair)
                .window(TumblingEventTimeWindows.of(Duration.ofMinutes(1)))
                .aggregate(new CandleAggregate(), new CandleClose())
                .keyBy(closed -> closed.pair)
                .process(new IndicatorsFunction())
                .sinkTo(sink(job));
        final Progress progress = new Progress(job.records());
        final JobClient client = environment.executeAsync(job.id());
        progress.await();
        client.getJobExecutionResult().get(); // the last checkpoint has committed the output
        progress.print();
    }

    private static Configuration settings(Job job) {
        final Configuration to = new Configuration();
        // "Execution Configuration": nothing here keeps or changes what it was handed.
        to.set(PipelineOptions.OBJECT_REUSE, true);
        // "Data Types & Serialization": only types with serialisers of their own, none by Kryo.
        to.set(PipelineOptions.GENERIC_TYPES, false);
        // "State Backends": on the heap is the faster one while the state fits.
        to.set(StateBackendOptions.STATE_BACKEND, "hashmap");
        // "Checkpointing": exactly once. Every second, which is what millrace takes while it is
        // behind; the state is a few KiB.
        to.set(CheckpointingOptions.CHECKPOINTING_CONSISTENCY_MODE, CheckpointingMode.EXACTLY_ONCE);
        to.set(CheckpointingOptions.CHECKPOINTING_INTERVAL, Duration.ofSeconds(1));
        to.set(CheckpointingOptions.CHECKPOINT_STORAGE, "filesystem");
        to.set(
                CheckpointingOptions.CHECKPOINTS_DIRECTORY,
                new File(job.folder()).toURI().toString());
        return to;
    }

    private static KafkaSource<Trade> source(Job job) {
        return KafkaSource.<Trade>builder()
                .setBootstrapServers(job.brokers())
                .setTopics(job.in())
                .setGroupId(job.id())
                .setStartingOffsets(OffsetsInitializer.earliest())
                .setBounded(OffsetsInitializer.latest())
                .setValueOnlyDeserializer(new TradeSchema())
                // Larger polls and fetches than the defaults, as for Kafka Streams.
                .setProperty("max.poll.records", "10000")
                .setProperty("max.partition.fetch.bytes", Integer.toString(8 << 20))
                .build();
    }

    private static KafkaSink<Output> sink(Job job) {
        // "Apache Kafka Connector": exactly once by transactions, a pool of whose names spares the
        // broker the many that a name per checkpoint would leave.
        return KafkaSink.<Output>builder()
                .setBootstrapServers(job.brokers())
                .setDeliveryGuarantee(DeliveryGuarantee.EXACTLY_ONCE)
                .setTransactionalIdPrefix(job.id())
                .setTransactionNamingStrategy(TransactionNamingStrategy.POOLING)
                .setProperty("transaction.timeout.ms", "600000")
                .setRecordSerializer(
                        KafkaRecordSerializationSchema.<Output>builder()
                                .setTopic(job.out())
                                .setKeySerializationSchema(new OutputSchema.Key())
                                .setValueSerializationSchema(new OutputSchema.Value())
                                .build())
                .build();
    }
}
