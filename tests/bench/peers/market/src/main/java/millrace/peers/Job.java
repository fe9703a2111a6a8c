package millrace.peers;

/** The command line of a job: what the benchmark tells each of them. */
public record Job(
        String brokers,
        String in,
        String out,
        String id,
        String guarantee,
        int workers,
        long records,
        String folder) {
    public static Job of(String[] args) {
        if (args.length != 8) {
            throw new IllegalArgumentException(
                    "arguments: BROKERS IN OUT ID GUARANTEE WORKERS RECORDS FOLDER");
        }
        return new Job(args[0], args[1], args[2], args[3], args[4], Integer.parseInt(args[5]),
                Long.parseLong(args[6]), args[7]);
    }
}
