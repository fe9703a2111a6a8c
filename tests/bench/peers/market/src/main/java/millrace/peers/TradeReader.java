package millrace.peers;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadFeature;
import java.io.IOException;

/**
 * JSON to trades with Jackson's streaming parser, which makes no tree and needs no reflection. Its
 * fast doubles are correctly rounded, as those of the JDK.
 */
public final class TradeReader {
    private final JsonFactory factory =
            JsonFactory.builder().enable(StreamReadFeature.USE_FAST_DOUBLE_PARSER).build();

    public Trade read(byte[] json) throws IOException {
        final Trade trade = new Trade();
        try (JsonParser parser = factory.createParser(json)) {
            parser.nextToken();
            while (parser.nextToken() == JsonToken.FIELD_NAME) {
                final String name = parser.currentName();
                parser.nextToken();
                switch (name) {
                    case "time" -> trade.timeUs = parser.getLongValue();
                    case "pair" -> trade.pair = parser.getText();
                    case "price" -> trade.price = parser.getDoubleValue();
                    case "quantity" -> trade.quantity = parser.getDoubleValue();
                    case "trade_id" -> trade.tradeId = parser.getLongValue();
                    default -> parser.skipChildren();
                }
            }
        }
        return trade;
    }
}
