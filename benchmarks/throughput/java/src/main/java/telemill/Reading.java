package telemill;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.DecoderFactory;

/** A reading of a device, by pull parsers that make nothing but the reading. */
public final class Reading {
  public String id;
  public long ts;
  public double watts;

  /** Reads one of the formats. An instance belongs to one thread. */
  static final class Parser {
    private final JsonFactory json = new JsonFactory();
    private final boolean avro;
    private BinaryDecoder decoder;

    Parser(String format) {
      avro = format.equals("avro");
    }

    Reading read(byte[] bytes) throws IOException {
      Reading reading = new Reading();
      if (avro) {
        decoder = DecoderFactory.get().binaryDecoder(bytes, decoder);
        reading.id = decoder.readString();
        reading.ts = decoder.readLong();
        reading.watts = decoder.readDouble();
        return reading;
      }
      try (JsonParser parser = json.createParser(bytes)) {
        parser.nextToken();
        while (parser.nextToken() == JsonToken.FIELD_NAME) {
          String name = parser.currentName();
          parser.nextToken();
          switch (name) {
            case "id" -> reading.id = parser.getText();
            case "ts" -> reading.ts = parser.getLongValue();
            case "watts" -> reading.watts = parser.getDoubleValue();
            default -> parser.skipChildren();
          }
        }
      }
      return reading;
    }
  }
}
