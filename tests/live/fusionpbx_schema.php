<?php
/*
 * Prints the tables of FusionPBX's database as SQL, from its own descriptions of them.
 *
 * usage: fusionpbx_schema.php <checkout>
 */
error_reporting(0);

function name($of): string {
    return is_array($of) ? $of['text'] : $of;
}

$tables = [];
foreach ([...glob("$argv[1]/app/*/app_config.php"), ...glob("$argv[1]/core/*/app_config.php")] as $file) {
    $apps = [];
    $x = 0;
    include $file;
    foreach (array_merge(...array_map(fn($app) => $app['db'] ?? [], array_values($apps))) as $table) {
        $columns = [];
        foreach ($table['fields'] ?? [] as $field) {
            $type = is_array($field['type']) ? $field['type']['pgsql'] : $field['type'];
            $columns[name($field['name'])] = sprintf('"%s" %s', name($field['name']), $type ?: 'text');
        }
        if ($columns) {
            $tables[name($table['table']['name'])] = $columns;
        }
    }
}
foreach ($tables as $name => $columns) {
    echo "CREATE TABLE $name (", implode(', ', $columns), ");\n";
}
