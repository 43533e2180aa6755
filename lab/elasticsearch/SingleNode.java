import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import org.elasticsearch.common.logging.LogConfigurator;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.env.Environment;
import org.elasticsearch.node.InternalSettingsPreparer;
import org.elasticsearch.node.Node;

/**
 * Starts Elasticsearch until a signal ends it. Its own launcher is in no package registry.
 *
 * <p>The first argument is its home, where config/ is; each other is a setting, {@code name=value}.
 */
public final class SingleNode {
    public static void main(String[] arguments) throws Exception {
        Map<String, String> settings = new HashMap<>();
        settings.put("path.home", arguments[0]);
        for (int index = 1; index < arguments.length; index++) {
            String[] pair = arguments[index].split("=", 2);
            settings.put(pair[0], pair[1]);
        }
        LogConfigurator.configureESLogging();
        Path configuration = Path.of(arguments[0], "config");
        Environment environment = InternalSettingsPreparer.prepareEnvironment(
            Settings.EMPTY, settings, configuration, () -> "only");
        LogConfigurator.setNodeName("only");
        LogConfigurator.configure(environment, true);
        new Node(environment).start();
        Thread.currentThread().join();
    }
}
