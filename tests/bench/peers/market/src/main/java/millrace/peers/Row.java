package millrace.peers;

import java.nio.charset.StandardCharsets;

/** What goes into the output topic: a closed candle with its indicators, as JSON. */
public final class Row {
    private Row() {}

    public static byte[] json(String pair, long startMs, Candle candle, Indicators indicators) {
        final StringBuilder text = new StringBuilder(384);
        text.append("{\"pair\":\"").append(pair);
        text.append("\",\"window_start\":").append(startMs * 1000);
        number(text, "open", candle.open);
        number(text, "high", candle.high);
        number(text, "low", candle.low);
        number(text, "close", candle.close);
        number(text, "volume", candle.volume);
        number(text, "vwap", candle.notional / candle.volume);
        text.append(",\"trades\":").append(candle.trades);
        number(text, "sma_7", indicators.sma);
        number(text, "rsi_14", indicators.rsi);
        number(text, "macd", indicators.macd);
        number(text, "macd_signal", indicators.signal);
        number(text, "macd_hist", indicators.macd - indicators.signal);
        return text.append('}').toString().getBytes(StandardCharsets.UTF_8);
    }

    private static void number(StringBuilder text, String name, double value) {
        text.append(",\"").append(name).append("\":");
        if (Double.isNaN(value)) {
            text.append("null");
        } else {
            text.append(value);
        }
    }
}
