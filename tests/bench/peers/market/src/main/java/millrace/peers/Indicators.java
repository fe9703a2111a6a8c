package millrace.peers;

import java.nio.ByteBuffer;

/**
 * SMA(7), RSI(14) and MACD(12, 26, 9) of one pair's closes, seeded and smoothed as TA-Lib does it.
 * An output is NaN until it is ready.
 */
public final class Indicators {
    private static final int SMA = 7;
    private static final int RSI = 14;
    private static final int FAST = 12;
    private static final int SLOW = 26;
    private static final int SIGNAL = 9;

    public double[] closes = new double[SMA];
    public double sum;
    public double before;
    public double gain;
    public double loss;
    public double fast;
    public double slow;
    public double signalAverage;
    public long seen;

    public double sma = Double.NaN;
    public double rsi = Double.NaN;
    public double macd = Double.NaN;
    public double signal = Double.NaN;

    public void add(double close) {
        addSma(close);
        addRsi(close);
        addMacd(close);
        before = close;
        seen++;
    }

    private void addSma(double close) {
        final int at = (int) (seen % SMA);
        closes[at] = close;
        sum += close;
        if (seen >= SMA - 1) {
            sma = sum / SMA;
            sum -= closes[(at + 1) % SMA];
        }
    }

    private void addRsi(double close) {
        if (seen == 0) {
            return;
        }
        final double change = close - before;
        final double up = Math.max(change, 0);
        final double down = up - change;
        if (seen <= RSI) {
            gain += up;
            loss += down;
            if (seen == RSI) {
                gain /= RSI;
                loss /= RSI;
            }
        } else {
            gain = (gain * (RSI - 1) + up) / RSI;
            loss = (loss * (RSI - 1) + down) / RSI;
        }
        if (seen >= RSI) {
            rsi = gain + loss != 0 ? 100 * (gain / (gain + loss)) : 0;
        }
    }

    private void addMacd(double close) {
        if (seen >= SLOW) {
            fast += (close - fast) * 2 / (FAST + 1);
            slow += (close - slow) * 2 / (SLOW + 1);
        } else {
            slow += close;
            fast += seen >= SLOW - FAST ? close : 0;
            if (seen == SLOW - 1) {
                fast /= FAST;
                slow /= SLOW;
            }
        }
        final long count = seen - (SLOW - 2);
        if (count < 1) {
            return;
        }
        final double difference = fast - slow;
        if (count <= SIGNAL) {
            signalAverage += difference;
            signalAverage /= count == SIGNAL ? SIGNAL : 1;
        } else {
            signalAverage += (difference - signalAverage) * 2 / (SIGNAL + 1);
        }
        if (count >= SIGNAL) {
            macd = difference;
            signal = signalAverage;
        }
    }

    /** Without the outputs, which the next close gives anew. */
    public byte[] toBytes() {
        final ByteBuffer to = ByteBuffer.allocate((SMA + 8) * Double.BYTES);
        for (double close : closes) {
            to.putDouble(close);
        }
        to.putDouble(sum).putDouble(before).putDouble(gain).putDouble(loss);
        to.putDouble(fast).putDouble(slow).putDouble(signalAverage).putLong(seen);
        return to.array();
    }

    public static Indicators fromBytes(byte[] bytes) {
        final ByteBuffer from = ByteBuffer.wrap(bytes);
        final Indicators state = new Indicators();
        for (int i = 0; i < SMA; i++) {
            state.closes[i] = from.getDouble();
        }
        state.sum = from.getDouble();
        state.before = from.getDouble();
        state.gain = from.getDouble();
        state.loss = from.getDouble();
        state.fast = from.getDouble();
        state.slow = from.getDouble();
        state.signalAverage = from.getDouble();
        state.seen = from.getLong();
        return state;
    }
}
