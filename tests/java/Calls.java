import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;

/**
 * Sends requests with the JDK's HttpClient as it is by default: each offers an upgrade to HTTP/2.
 *
 * Arguments: a token, then METHOD ADDRESS BODY for each request. A body that starts with "chunked:" is sent
 * without its length. Prints a line for each answer: status, protocol version, body.
 */
public class Calls {
    public static void main(String[] arguments) throws Exception {
        HttpClient client = HttpClient.newHttpClient();
        for (int at = 1; at + 2 < arguments.length; at += 3) {
            String body = arguments[at + 2];
            HttpRequest.BodyPublisher publisher = BodyPublishers.ofString(body);
            if (body.startsWith("chunked:")) {
                publisher = BodyPublishers.fromPublisher(BodyPublishers.ofString(body.substring(8)));
            }
            HttpRequest request = HttpRequest.newBuilder(URI.create(arguments[at + 1]))
                .header("Authorization", "Bearer " + arguments[0])
                .method(arguments[at], publisher)
                .build();
            HttpResponse<String> answer = client.send(request, BodyHandlers.ofString());
            System.out.println(answer.statusCode() + " " + answer.version() + " " + answer.body());
        }
    }
}
