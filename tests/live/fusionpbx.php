<?php
/*
 * Runs FusionPBX's own classes on a running FreeSWITCH, and prints what they found, one JSON document a line.
 *
 * usage: fusionpbx.php <checkout> <port of the event socket> <domain> <what> [<JSON>]
 *   parked, calls  what the operator panel shows
 *   action         does what the JSON asks of the operator panel
 *   listing        the rows with which the list of active calls begins
 *   events         what the page in the JSON (panel or list) tells the browser, until standard input ends
 *
 * Stand-ins: the settings, and the connection to the browser, which keeps what is sent.
 */
[, $root, $port, $domain, $what] = $argv;

final class config {
    public static function load(): config { return new config; }
    public function get($key, $default = null) {
        global $port;
        return ['switch.event_socket.host' => '127.0.0.1', 'switch.event_socket.port' => $port][$key] ?? $default;
    }
}

class websocket_client {
    public static array $sent = [];
    public function socket() { return null; }
    public function is_connected(): bool { return true; }
    public static function send($socket, $message): bool {
        self::$sent[] = $message;
        return true;
    }
}

spl_autoload_register(function ($class) use ($root) {
    foreach (["$root/resources/*", "$root/core/*/resources/*", "$root/app/*/resources/*"] as $folder) {
        foreach (glob("$folder/$class.php") as $file) {
            require_once $file;
            return;
        }
    }
});

/** An object of a class without its constructor, which would need the database and the configuration. */
function made(string $class, array $fields = []) {
    $object = (new ReflectionClass($class))->newInstanceWithoutConstructor();
    foreach ($fields as $name => $value) {
        (new ReflectionProperty($class, $name))->setValue($object, $value);
    }
    return $object;
}

function call($object, string $method, ...$arguments) {
    return (new ReflectionMethod($object, $method))->invoke($object, ...$arguments);
}

/** Has a service read the event socket as its own loop does, and prints what it sends to the browser. */
function follow(string $class, string $read, array $fields): void {
    global $port;
    $stream = stream_socket_client("tcp://127.0.0.1:$port");
    $socket = new event_socket($stream);
    $socket->connect(null, null, 'ClueCon');
    $service = made($class, ['event_socket' => $socket, 'switch_socket' => $stream, 'ws_client' => new websocket_client] + $fields);
    call($service, 'register_event_socket_filters');
    show('ready');
    while (true) {
        [$streams, $none] = [[$stream, STDIN], null];
        stream_select($streams, $none, $none, null);
        if (in_array(STDIN, $streams, true) && fgets(STDIN) === false) {
            return;
        }
        if (in_array($stream, $streams, true)) {
            call($service, $read);
        }
        foreach (websocket_client::$sent as $message) {
            show(['topic' => $message->topic()] + $message->payload());
        }
        websocket_client::$sent = [];
    }
}

function show($value): void {
    echo json_encode($value, JSON_INVALID_UTF8_SUBSTITUTE), "\n";
}

const SERVICE_NAME = 'active.calls';
error_reporting(E_ALL & ~E_DEPRECATED);
require_once "$root/resources/classes/event_socket.php";
(new ReflectionProperty('service', 'log_level'))->setValue(null, -1);
(new ReflectionProperty('service', 'config'))->setValue(null, new config);
$panel = made('operator_panel_service', ['ws_client' => new websocket_client]);
$request = new websocket_message(['payload' => ['domain_name' => $domain] + json_decode($argv[5] ?? '[]', true), 'topic' => $what]);
$action = $request->payload();
switch ($what) {
    case 'parked':
        call($panel, 'request_parked_active', $request);
        show(websocket_client::$sent[0]->payload());
        break;
    case 'calls':
        call($panel, 'request_calls_active', $request);
        show(websocket_client::$sent[0]->payload());
        break;
    case 'action':
        show(call($panel, 'execute_action', $action['action'], $action));
        break;
    case 'listing':
        $list = made('active_calls_service', ['event_filter' => null]);
        show(array_map(fn($call) => $call->to_array(), call($list, 'get_active_calls')));
        break;
    case 'events':
        if ($action['page'] === 'panel') {
            follow('operator_panel_service', 'handle_switch_events', []);
        } else {
            $filter = filter_chain::or_link([new event_key_filter(active_calls_service::EVENT_KEYS)]);
            follow('active_calls_service', 'handle_switch_event', ['event_filter' => $filter]);
        }
}
