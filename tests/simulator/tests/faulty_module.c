/* A module with deliberate misuses of FreeSWITCH's functions, which the simulator must detect. */
#include <switch.h>
#include <pthread.h>
#include <string.h>

static switch_application_interface_t *add(switch_loadable_module_interface_t *module, const char *name,
	switch_application_function_t function)
{
	switch_application_interface_t *it = switch_loadable_module_create_interface(module, SWITCH_APPLICATION_INTERFACE);
	it->interface_name = name;
	it->application_function = function;
	it->flags = SAF_SUPPORT_NOMEDIA;
	return it;
}

static void hold(switch_core_session_t *session, const char *data)
{
	switch_core_session_perform_locate(switch_core_session_get_uuid(session), "faulty", "hold", 1);
}

static void let_go_twice(switch_core_session_t *session, const char *data)
{
	switch_core_session_rwunlock(session);
}

static void event(switch_core_session_t *session, const char *data)
{
	switch_event_t *event;
	switch_event_create_subclass_detailed("faulty", "event", 1, &event, SWITCH_EVENT_REQUEST_PARAMS, NULL);
}

static void xml(switch_core_session_t *session, const char *data)
{
	switch_xml_t node;
	switch_xml_open_cfg("faulty.conf", &node, NULL);
}

static void tick(switch_scheduler_task_t *task)
{
	task->runtime += 1;
}

static void task(switch_core_session_t *session, const char *data)
{
	switch_scheduler_add_task(switch_micro_time_now() / 1000000 + 1, tick, "faulty", "faulty", 0, NULL, 0);
}

static switch_status_t on_message(switch_core_session_t *session, switch_core_session_message_t *message)
{
	return SWITCH_STATUS_SUCCESS;
}

static void hook(switch_core_session_t *session, const char *data)
{
	switch_core_event_hook_add_receive_message(session, on_message);
}

static void format(switch_core_session_t *session, const char *data)
{
	switch_log_printf(SWITCH_CHANNEL_ID_LOG, "faulty", "format", 1, NULL, SWITCH_LOG_ERROR, data, "");
}

static void wait(switch_core_session_t *session, const char *data)
{
	switch_ivr_sleep(session, 10000, SWITCH_FALSE, NULL);
}

static switch_status_t count(switch_core_session_t *session, switch_frame_t *frame, void *frames)
{
	*(int *)frames += 1;
	return SWITCH_STATUS_SUCCESS;
}

static switch_status_t stop_at_hash(switch_core_session_t *session, void *input, switch_input_type_t type, void *buf, unsigned int length)
{
	return ((switch_dtmf_t *)input)->digit == '#' ? SWITCH_STATUS_BREAK : SWITCH_STATUS_SUCCESS;
}

/* Plays a file. It sets a variable to the number of callbacks and the final status. */
static void play(switch_core_session_t *session, const char *data)
{
	int frames = 0;
	char text[40];
	switch_input_args_t args;
	switch_channel_t *channel = switch_core_session_get_channel(session);
	switch_status_t status;

	memset(&args, 0, sizeof(args));
	args.input_callback = stop_at_hash;
	args.read_frame_callback = count;
	args.user_data = &frames;
	status = switch_ivr_play_file(session, NULL, data, &args);
	snprintf(text, sizeof(text), "%d frames, status %d", frames, status);
	switch_channel_set_variable_var_check(channel, "played", text, SWITCH_FALSE);
}

static void *other_thread(void *session)
{
	switch_ivr_sleep(session, 20, SWITCH_FALSE, NULL);
	return NULL;
}

static void foreign(switch_core_session_t *session, const char *data)
{
	pthread_t thread;
	pthread_create(&thread, NULL, other_thread, session);
	pthread_join(thread, NULL);
}

static switch_status_t load(switch_loadable_module_interface_t **module, switch_memory_pool_t *pool)
{
	*module = switch_loadable_module_create_module_interface(pool, "mod_faulty");
	add(*module, "hold", hold);
	add(*module, "let_go_twice", let_go_twice);
	add(*module, "event", event);
	add(*module, "xml", xml);
	add(*module, "task", task);
	add(*module, "hook", hook);
	add(*module, "format", format);
	add(*module, "wait", wait);
	add(*module, "play", play);
	add(*module, "foreign", foreign);
	return SWITCH_STATUS_SUCCESS;
}

static switch_status_t done(void)
{
	return SWITCH_STATUS_SUCCESS;
}

#ifndef FAULTY_VERSION
#define FAULTY_VERSION SWITCH_API_VERSION
#endif

#ifdef FAULTY_MISSING
void switch_no_such_function(void);
void *faulty_wants = switch_no_such_function;
#endif

switch_loadable_module_function_table_t mod_faulty_module_interface = { FAULTY_VERSION, load, done, NULL, 0 };
