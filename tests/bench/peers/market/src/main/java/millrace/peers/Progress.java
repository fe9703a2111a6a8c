package millrace.peers;

import com.sun.management.OperatingSystemMXBean;
import java.lang.management.ManagementFactory;
import java.util.concurrent.atomic.LongAdder;

/**
 * Counts the records of a run and notes the time and the CPU time of this process at the first one,
 * half way, and at the last one; the benchmark reads the line that print() writes.
 */
public final class Progress {
    private static final LongAdder RECORDS = new LongAdder();
    private static final int POLL_MS = 5;
    private static final OperatingSystemMXBean PROCESS =
            (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();

    private final long expected;
    private final StringBuilder line = new StringBuilder("{");

    public Progress(long expected) {
        this.expected = expected;
    }

    /** A record has come. Called by the job, from any thread. */
    public static void record() {
        RECORDS.increment();
    }

    /** Returns once all records have come. */
    public void await() throws InterruptedException {
        reach("first", 1);
        reach("half", expected / 2);
        reach("all", expected);
    }

    private void reach(String name, long wanted) throws InterruptedException {
        long count = RECORDS.sum();
        while (count < wanted) {
            Thread.sleep(POLL_MS);
            count = RECORDS.sum();
        }
        note(name, count);
    }

    private void note(String name, long count) {
        final double cpu = PROCESS.getProcessCpuTime() / 1e9;
        line.append(String.format("\"%s\": {\"ms\": %d, \"records\": %d, \"cpu_s\": %.3f}, ", name,
                System.currentTimeMillis(), count, cpu));
    }

    /** When the job has ended. */
    public void print() {
        note("end", RECORDS.sum());
        System.out.println(line.substring(0, line.length() - 2) + "}");
    }
}
