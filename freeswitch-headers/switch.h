/*
 * The part of FreeSWITCH's C interface that mod_callpark binds, declared after release 1.10.12.
 * README.md says how it is proved.
 */
#ifndef CALLPARK_SWITCH_H
#define CALLPARK_SWITCH_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* Known by pointer only. */
typedef struct switch_core_session switch_core_session_t;
typedef struct switch_channel switch_channel_t;
typedef struct switch_caller_profile switch_caller_profile_t;
typedef struct switch_event switch_event_t;
typedef struct switch_event_node switch_event_node_t;
typedef struct switch_frame switch_frame_t;
typedef struct switch_codec switch_codec_t;
typedef struct switch_codec_implementation switch_codec_implementation_t;
typedef struct switch_file_handle switch_file_handle_t;
typedef struct switch_media_handle_s switch_media_handle_t;
typedef struct switch_rtp switch_rtp_t;
typedef struct fspr_socket_t switch_socket_t;
typedef struct switch_jb_s switch_jb_t;
typedef union switch_codec_settings switch_codec_settings_t;
typedef struct switch_ivr_dmachine switch_ivr_dmachine_t;
typedef struct switch_dial_handle_s switch_dial_handle_t;
typedef struct switch_cache_db_handle switch_cache_db_handle_t;
typedef struct switch_xml *switch_xml_t;
typedef struct fspr_pool_t switch_memory_pool_t;
typedef struct fspr_thread_rwlock_t switch_thread_rwlock_t;
typedef struct fspr_thread_mutex_t switch_mutex_t;
typedef struct fspr_thread_t switch_thread_t;

typedef size_t switch_size_t;
typedef int64_t switch_time_t;
typedef uint32_t switch_media_flag_t;
typedef uint32_t switch_originate_flag_t;
typedef uint32_t switch_scheduler_flag_t;
typedef uint32_t switch_core_session_message_flag_t;
typedef uint32_t switch_module_flag_t;
typedef uint32_t switch_frame_flag_t;
typedef uint32_t switch_codec_flag_t;
typedef uint32_t switch_io_flag_t;
typedef uint8_t switch_payload_t;
typedef uint16_t switch_port_t;

#define SWITCH_API_VERSION 5

/*
 * Only the values that the module uses or is about to, as both releases have them.
 * SWITCH_LOG_DISABLE is here for its sign: it makes its type a signed one.
 */
typedef enum { SWITCH_FALSE = 0, SWITCH_TRUE = 1 } switch_bool_t;

typedef enum {
	SWITCH_STATUS_SUCCESS = 0,
	SWITCH_STATUS_FALSE = 1,
	SWITCH_STATUS_TIMEOUT = 2,
	SWITCH_STATUS_NOOP = 7,
	SWITCH_STATUS_GENERR = 9,
	SWITCH_STATUS_INUSE = 10,
	SWITCH_STATUS_BREAK = 11,
	SWITCH_STATUS_NOTFOUND = 14,
	SWITCH_STATUS_NOUNLOAD = 16,
	SWITCH_STATUS_TERM = 21
} switch_status_t;

typedef enum {
	SWITCH_CALL_DIRECTION_INBOUND = 0,
	SWITCH_CALL_DIRECTION_OUTBOUND = 1
} switch_call_direction_t;

typedef enum {
	CS_NEW = 0,
	CS_INIT = 1,
	CS_ROUTING = 2,
	CS_SOFT_EXECUTE = 3,
	CS_EXECUTE = 4,
	CS_EXCHANGE_MEDIA = 5,
	CS_PARK = 6,
	CS_CONSUME_MEDIA = 7,
	CS_HIBERNATE = 8,
	CS_RESET = 9,
	CS_HANGUP = 10,
	CS_REPORTING = 11,
	CS_DESTROY = 12
} switch_channel_state_t;

typedef enum {
	CF_ANSWERED = 1,
	CF_OUTBOUND = 2,
	CF_EARLY_MEDIA = 3,
	CF_TRANSFER = 6,
	CF_BRIDGED = 9,
	CF_HOLD = 10,
	CF_PROXY_MODE = 17,
	CF_BREAK = 23,
	CF_BROADCAST = 24,
	CF_VIDEO = 26,
	CF_ORIGINATING = 30,
	CF_STOP_BROADCAST = 31,
	CF_PROXY_MEDIA = 32,
	CF_NOT_READY = 48,
	CF_LEG_HOLDING = 52,
	CF_RECOVERED = 59,
	CF_RECOVERING = 86,
	CF_TRACKED = 88,
	CF_TRACKABLE = 89,
	CF_PROTO_HOLD = 98,
	CF_ICE = 111,
	CF_NO_RECOVER = 134
} switch_channel_flag_t;

typedef enum {
	SWITCH_CAUSE_NONE = 0,
	SWITCH_CAUSE_UNALLOCATED_NUMBER = 1,
	SWITCH_CAUSE_NO_ROUTE_DESTINATION = 3,
	SWITCH_CAUSE_NORMAL_CLEARING = 16,
	SWITCH_CAUSE_USER_BUSY = 17,
	SWITCH_CAUSE_NO_USER_RESPONSE = 18,
	SWITCH_CAUSE_NO_ANSWER = 19,
	SWITCH_CAUSE_SUBSCRIBER_ABSENT = 20,
	SWITCH_CAUSE_CALL_REJECTED = 21,
	SWITCH_CAUSE_DESTINATION_OUT_OF_ORDER = 27,
	SWITCH_CAUSE_NORMAL_UNSPECIFIED = 31,
	SWITCH_CAUSE_NORMAL_TEMPORARY_FAILURE = 41,
	SWITCH_CAUSE_ORIGINATOR_CANCEL = 487,
	SWITCH_CAUSE_SYSTEM_SHUTDOWN = 701,
	SWITCH_CAUSE_LOSE_RACE = 702,
	SWITCH_CAUSE_MANAGER_REQUEST = 703,
	SWITCH_CAUSE_BLIND_TRANSFER = 800,
	SWITCH_CAUSE_ATTENDED_TRANSFER = 801,
	SWITCH_CAUSE_ALLOTTED_TIMEOUT = 802,
	SWITCH_CAUSE_PICKED_OFF = 805,
	SWITCH_CAUSE_USER_NOT_REGISTERED = 806
} switch_call_cause_t;

typedef enum {
	SWITCH_EVENT_CUSTOM = 0,
	SWITCH_EVENT_CHANNEL_ANSWER = 6,
	SWITCH_EVENT_CHANNEL_HANGUP = 7,
	SWITCH_EVENT_CHANNEL_HANGUP_COMPLETE = 8,
	SWITCH_EVENT_CHANNEL_EXECUTE = 9,
	SWITCH_EVENT_CHANNEL_HOLD = 11,
	SWITCH_EVENT_CHANNEL_UNHOLD = 12,
	SWITCH_EVENT_CHANNEL_BRIDGE = 13,
	SWITCH_EVENT_CHANNEL_UNBRIDGE = 14,
	SWITCH_EVENT_CHANNEL_PARK = 18,
	SWITCH_EVENT_CHANNEL_ORIGINATE = 21,
	SWITCH_EVENT_SHUTDOWN = 28,
	SWITCH_EVENT_PRESENCE_IN = 38,
	SWITCH_EVENT_PRESENCE_PROBE = 41,
	SWITCH_EVENT_RELOADXML = 56,
	SWITCH_EVENT_REQUEST_PARAMS = 62,
	SWITCH_EVENT_CALL_UPDATE = 79,
	SWITCH_EVENT_MEDIA_BUG_START = 82
} switch_event_types_t;

typedef enum {
	SWITCH_STACK_BOTTOM = 1,
	SWITCH_STACK_TOP = 2,
	SWITCH_STACK_UNSHIFT = 4,
	SWITCH_STACK_PUSH = 8
} switch_stack_t;

typedef enum {
	SWITCH_CHANNEL_ID_LOG = 0,
	SWITCH_CHANNEL_ID_LOG_CLEAN = 1,
	SWITCH_CHANNEL_ID_EVENT = 2,
	SWITCH_CHANNEL_ID_SESSION = 3
} switch_text_channel_t;

typedef enum {
	SWITCH_LOG_DISABLE = -1,
	SWITCH_LOG_CONSOLE = 0,
	SWITCH_LOG_ALERT = 1,
	SWITCH_LOG_CRIT = 2,
	SWITCH_LOG_ERROR = 3,
	SWITCH_LOG_WARNING = 4,
	SWITCH_LOG_NOTICE = 5,
	SWITCH_LOG_INFO = 6,
	SWITCH_LOG_DEBUG = 7,
	SWITCH_LOG_INVALID = 64,
	SWITCH_LOG_UNINIT = 1000
} switch_log_level_t;

typedef enum { SCSC_LOGLEVEL = 6 } switch_session_ctl_t;

typedef enum {
	SWITCH_MESSAGE_INDICATE_BRIDGE = 5,
	SWITCH_MESSAGE_INDICATE_UNBRIDGE = 6,
	SWITCH_MESSAGE_INDICATE_TRANSFER = 7,
	SWITCH_MESSAGE_INDICATE_MEDIA = 10,
	SWITCH_MESSAGE_INDICATE_NOMEDIA = 12,
	SWITCH_MESSAGE_INDICATE_HOLD = 14,
	SWITCH_MESSAGE_INDICATE_UNHOLD = 15,
	SWITCH_MESSAGE_INDICATE_DISPLAY = 22,
	SWITCH_MESSAGE_INDICATE_AUDIO_SYNC = 25,
	SWITCH_MESSAGE_INDICATE_RECOVERY_REFRESH = 39
} switch_core_session_message_types_t;

typedef enum { SWITCH_DTMF_RECV = 0, SWITCH_DTMF_SEND = 1 } switch_dtmf_direction_t;

typedef enum { DIGIT_TARGET_SELF = 0 } switch_digit_action_target_t;

typedef enum { SSH_FLAG_PRE_EXEC = 2 } switch_state_handler_flag_t;

typedef enum { SWITCH_INPUT_TYPE_DTMF = 0, SWITCH_INPUT_TYPE_EVENT = 1 } switch_input_type_t;

typedef enum {
	SWITCH_DIALPLAN_INTERFACE = 2,
	SWITCH_APPLICATION_INTERFACE = 4,
	SWITCH_API_INTERFACE = 5,
	SWITCH_JSON_API_INTERFACE = 15
} switch_module_interface_name_t;

typedef enum {
	SAF_NONE = 0,
	SAF_SUPPORT_NOMEDIA = 1,
	SAF_ROUTING_EXEC = 2,
	SAF_ZOMBIE_EXEC = 8,
	SAF_NO_LOOPBACK = 16
} switch_application_flag_enum_t;

typedef enum {
	SMF_NONE = 0,
	SMF_REBRIDGE = 1,
	SMF_ECHO_ALEG = 2,
	SMF_FORCE = 8,
	SMF_LOOP = 16,
	SMF_IMMEDIATE = 64,
	SMF_PRIORITY = 256
} switch_media_flag_enum_t;

typedef enum {
	SOF_NONE = 0,
	SOF_NOBLOCK = 1,
	SOF_NO_EFFECTIVE_CID_NUM = 16,
	SOF_NO_EFFECTIVE_CID_NAME = 32,
	SOF_NO_LIMITS = 64
} switch_originate_flag_enum_t;

typedef enum {
	SSHF_NONE = 0,
	SSHF_OWN_THREAD = 1,
	SSHF_FREE_ARG = 2,
	SSHF_NO_DEL = 4
} switch_scheduler_flag_enum_t;

typedef enum { SCDB_TYPE_CORE_DB = 0, SCDB_TYPE_ODBC = 1, SCDB_TYPE_DATABASE_INTERFACE = 2 } switch_cache_db_handle_type_t;

typedef enum {
	SWITCH_DTMF_UNKNOWN = 0,
	SWITCH_DTMF_INBAND_AUDIO = 1,
	SWITCH_DTMF_RTP = 2,
	SWITCH_DTMF_ENDPOINT = 3,
	SWITCH_DTMF_APP = 4
} switch_dtmf_source_t;

typedef enum { SWITCH_CODEC_FLAG_ENCODE = 1, SWITCH_CODEC_FLAG_PASSTHROUGH = 128 } switch_codec_flag_enum_t;

typedef enum { SWITCH_FILE_FLAG_READ = 1, SWITCH_FILE_DATA_SHORT = 8 } switch_file_flag_enum_t;

typedef enum { SWITCH_IO_FLAG_NONE = 0, SWITCH_IO_FLAG_NOBLOCK = 1, SWITCH_IO_FLAG_SINGLE_READ = 2 } switch_io_flag_enum_t;

typedef enum { SWITCH_MEDIA_TYPE_AUDIO = 0 } switch_media_type_t;

typedef enum { SWITCH_MEDIA_FLOW_SENDRECV = 0, SWITCH_MEDIA_FLOW_SENDONLY = 1 } switch_media_flow_t;

typedef enum {
	SWITCH_RTP_FLAG_NOBLOCK = 0,
	SWITCH_RTP_FLAG_USE_TIMER = 3,
	SWITCH_RTP_FLAG_AUTOADJ = 7,
	SWITCH_RTP_FLAG_UDPTL = 13,
	SWITCH_RTP_FLAG_PROXY_MEDIA = 20
} switch_rtp_flag_t;

typedef enum { SM_NDLB_ALLOW_BAD_IANANAME = 1 } switch_core_media_NDLB_t;

typedef enum { RTP_BUG_NONE = 0 } switch_rtp_bug_flag_t;

typedef enum { VAD_IN = 1 } switch_core_media_vflag_t;

typedef enum { DTMF_AUTO = 0 } switch_core_media_dtmf_t;

typedef enum { SWITCH_CODEC_TYPE_AUDIO = 0, SWITCH_CODEC_TYPE_VIDEO = 1 } switch_codec_type_t;

typedef enum { SCC_VIDEO_GEN_KEYFRAME = 0 } switch_codec_control_command_t;

typedef enum { SCCT_NONE = 0 } switch_codec_control_type_t;

/* A list of words, such as the UUIDs of all sessions. */
typedef struct switch_console_callback_match_node {
	char *val;
	struct switch_console_callback_match_node *next;
} switch_console_callback_match_node_t;

typedef struct switch_console_callback_match {
	struct switch_console_callback_match_node *head;
	struct switch_console_callback_match_node *end;
	int count;
	int dynamic;
} switch_console_callback_match_t;

/* Callbacks. */
typedef struct switch_loadable_module_interface switch_loadable_module_interface_t;
typedef struct switch_stream_handle switch_stream_handle_t;
typedef struct switch_caller_extension switch_caller_extension_t;
typedef struct switch_caller_application switch_caller_application_t;
typedef struct switch_core_session_message switch_core_session_message_t;
typedef struct switch_scheduler_task switch_scheduler_task_t;
typedef switch_status_t (*switch_module_load_t)(switch_loadable_module_interface_t **, switch_memory_pool_t *);
typedef switch_status_t (*switch_module_shutdown_t)(void);
typedef switch_status_t (*switch_module_runtime_t)(void);
typedef void (*switch_application_function_t)(switch_core_session_t *, const char *);
typedef switch_status_t (*switch_api_function_t)(const char *cmd, switch_core_session_t *session,
	switch_stream_handle_t *stream);
typedef switch_caller_extension_t *(*switch_dialplan_hunt_function_t)(switch_core_session_t *, void *,
	switch_caller_profile_t *);
typedef switch_status_t (*switch_input_callback_function_t)(switch_core_session_t *session, void *input,
	switch_input_type_t type, void *buf, unsigned int buflen);
typedef switch_status_t (*switch_read_frame_callback_function_t)(switch_core_session_t *session,
	switch_frame_t *frame, void *user_data);
typedef switch_status_t (*switch_receive_message_hook_t)(switch_core_session_t *, switch_core_session_message_t *);
typedef switch_status_t (*switch_kill_channel_hook_t)(switch_core_session_t *, int);
typedef int (*switch_core_recover_callback_t)(switch_core_session_t *);

typedef switch_status_t (*switch_state_handler_t)(switch_core_session_t *);
typedef struct switch_state_handler_table {
	switch_state_handler_t on_init;
	switch_state_handler_t on_routing;
	switch_state_handler_t on_execute;
	switch_state_handler_t on_hangup;
	switch_state_handler_t on_exchange_media;
	switch_state_handler_t on_soft_execute;
	switch_state_handler_t on_consume_media;
	switch_state_handler_t on_hibernate;
	switch_state_handler_t on_reset;
	switch_state_handler_t on_park;
	switch_state_handler_t on_reporting;
	switch_state_handler_t on_destroy;
	int flags;
	void *padding[10];
} switch_state_handler_table_t;
typedef int (*switch_core_db_callback_func_t)(void *pArg, int argc, char **argv, char **columnNames);
typedef void (*switch_event_callback_t)(switch_event_t *);
typedef void (*switch_scheduler_func_t)(switch_scheduler_task_t *task);
typedef switch_status_t (*switch_console_complete_callback_t)(const char *, const char *,
	switch_console_callback_match_t **matches);
typedef switch_status_t (*switch_core_codec_init_func_t)(switch_codec_t *, switch_codec_flag_t,
	const switch_codec_settings_t *codec_settings);
typedef switch_status_t (*switch_core_codec_encode_func_t)(switch_codec_t *codec, switch_codec_t *other_codec,
	void *decoded_data, uint32_t decoded_data_len, uint32_t decoded_rate, void *encoded_data,
	uint32_t *encoded_data_len, uint32_t *encoded_rate, unsigned int *flag);
typedef switch_status_t (*switch_core_codec_decode_func_t)(switch_codec_t *codec, switch_codec_t *other_codec,
	void *encoded_data, uint32_t encoded_data_len, uint32_t encoded_rate, void *decoded_data,
	uint32_t *decoded_data_len, uint32_t *decoded_rate, unsigned int *flag);
typedef switch_status_t (*switch_core_codec_video_encode_func_t)(switch_codec_t *codec, switch_frame_t *frame);
typedef switch_status_t (*switch_core_codec_video_decode_func_t)(switch_codec_t *codec, switch_frame_t *frame);
typedef switch_status_t (*switch_core_codec_control_func_t)(switch_codec_t *codec, switch_codec_control_command_t cmd,
	switch_codec_control_type_t ctype, void *cmd_data, switch_codec_control_type_t atype, void *cmd_arg,
	switch_codec_control_type_t *rtype, void **ret_data);
typedef switch_status_t (*switch_core_codec_destroy_func_t)(switch_codec_t *);
typedef uint8_t *(*switch_stream_handle_read_function_t)(switch_stream_handle_t *handle, int *len);
typedef switch_status_t (*switch_stream_handle_write_function_t)(switch_stream_handle_t *handle, const char *fmt, ...);
typedef switch_status_t (*switch_stream_handle_raw_write_function_t)(switch_stream_handle_t *handle, uint8_t *data,
	switch_size_t datalen);

/* What the loader looks up: <module>_module_interface. */
typedef struct switch_loadable_module_function_table {
	int switch_api_version;
	switch_module_load_t load;
	switch_module_shutdown_t shutdown;
	switch_module_runtime_t runtime;
	switch_module_flag_t flags;
} switch_loadable_module_function_table_t;

typedef struct switch_dialplan_interface {
	const char *interface_name;
	switch_dialplan_hunt_function_t hunt_function;
	switch_thread_rwlock_t *rwlock;
	int refs;
	switch_mutex_t *reflock;
	switch_loadable_module_interface_t *parent;
	struct switch_dialplan_interface *next;
} switch_dialplan_interface_t;

typedef struct switch_application_interface {
	const char *interface_name;
	switch_application_function_t application_function;
	const char *long_desc;
	const char *short_desc;
	const char *syntax;
	uint32_t flags;
	switch_thread_rwlock_t *rwlock;
	int refs;
	switch_mutex_t *reflock;
	switch_loadable_module_interface_t *parent;
	struct switch_application_interface *next;
} switch_application_interface_t;

typedef struct switch_api_interface {
	const char *interface_name;
	const char *desc;
	switch_api_function_t function;
	const char *syntax;
	switch_thread_rwlock_t *rwlock;
	int refs;
	switch_mutex_t *reflock;
	switch_loadable_module_interface_t *parent;
	struct switch_api_interface *next;
} switch_api_interface_t;

/* Only refs, the lock and the pool are used; the heads of the lists stand before them. */
struct switch_loadable_module_interface {
	const char *module_name;
	struct switch_endpoint_interface *endpoint_interface;
	struct switch_timer_interface *timer_interface;
	switch_dialplan_interface_t *dialplan_interface;
	struct switch_codec_interface *codec_interface;
	switch_application_interface_t *application_interface;
	struct switch_chat_application_interface *chat_application_interface;
	switch_api_interface_t *api_interface;
	struct switch_json_api_interface *json_api_interface;
	struct switch_file_interface *file_interface;
	struct switch_speech_interface *speech_interface;
	struct switch_directory_interface *directory_interface;
	struct switch_chat_interface *chat_interface;
	struct switch_say_interface *say_interface;
	struct switch_asr_interface *asr_interface;
	struct switch_management_interface *management_interface;
	struct switch_limit_interface *limit_interface;
	struct switch_database_interface *database_interface;
	switch_thread_rwlock_t *rwlock;
	int refs;
	switch_memory_pool_t *pool;
};

/* What an API command writes its answer to. */
struct switch_stream_handle {
	switch_stream_handle_read_function_t read_function;
	switch_stream_handle_write_function_t write_function;
	switch_stream_handle_raw_write_function_t raw_write_function;
	void *data;
	void *end;
	switch_size_t data_size;
	switch_size_t data_len;
	switch_size_t alloc_len;
	switch_size_t alloc_chunk;
	switch_event_t *param_event;
};

typedef struct {
	char digit;
	uint32_t duration;
	int32_t flags;
	switch_dtmf_source_t source;
} switch_dtmf_t;
typedef switch_status_t (*switch_recv_dtmf_hook_t)(switch_core_session_t *, const switch_dtmf_t *,
	switch_dtmf_direction_t direction);

/* An element of the XML registry. */
struct switch_xml {
	char *name;
	char **attr;
	char *txt;
	char *free_path;
	switch_size_t off;
	switch_xml_t next;
	switch_xml_t sibling;
	switch_xml_t ordered;
	switch_xml_t child;
	switch_xml_t parent;
	uint32_t flags;
	switch_bool_t is_switch_xml_root_t;
	uint32_t refs;
	const char *open;
	const char *close;
};

/* A codec as a leg or an encoder of ours has it, and what is known of its kind. */
struct switch_codec {
	struct switch_codec_interface *codec_interface;
	const switch_codec_implementation_t *implementation;
	char *fmtp_in;
	char *fmtp_out;
	uint32_t flags;
	switch_memory_pool_t *memory_pool;
	void *private_info;
	switch_payload_t agreed_pt;
	switch_mutex_t *mutex;
	struct switch_codec *next;
	switch_core_session_t *session;
	switch_frame_t *cur_frame;
};

struct switch_codec_implementation {
	switch_codec_type_t codec_type;
	switch_payload_t ianacode;
	char *iananame;
	char *fmtp;
	uint32_t samples_per_second;
	uint32_t actual_samples_per_second;
	int bits_per_second;
	int microseconds_per_packet;
	uint32_t samples_per_packet;
	uint32_t decoded_bytes_per_packet;
	uint32_t encoded_bytes_per_packet;
	uint8_t number_of_channels;
	int codec_frames_per_packet;
	switch_core_codec_init_func_t init;
	switch_core_codec_encode_func_t encode;
	switch_core_codec_decode_func_t decode;
	switch_core_codec_video_encode_func_t encode_video;
	switch_core_codec_video_decode_func_t decode_video;
	switch_core_codec_control_func_t codec_control;
	switch_core_codec_destroy_func_t destroy;
	uint32_t codec_id;
	uint32_t impl_id;
	char *modname;
	struct switch_codec_implementation *next;
};

struct switch_frame_geometry {
	int32_t w;
	int32_t h;
	int32_t x;
	int32_t y;
	int32_t z;
	int32_t M;
	int32_t X;
};

struct switch_frame {
	switch_codec_t *codec;
	const char *source;
	void *packet;
	uint32_t packetlen;
	void *extra_data;
	void *data;
	uint32_t datalen;
	uint32_t buflen;
	uint32_t samples;
	uint32_t rate;
	uint32_t channels;
	switch_payload_t payload;
	uint32_t timestamp;
	uint16_t seq;
	uint32_t ssrc;
	switch_bool_t m;
	switch_frame_flag_t flags;
	void *user_data;
	struct payload_map_s *pmap;
	void *img;
	struct switch_frame_geometry geometry;
};

/* What has been received, and sent, over RTP. */
typedef struct {
	switch_size_t raw_bytes;
	switch_size_t media_bytes;
	switch_size_t packet_count;
	switch_size_t period_packet_count;
	switch_size_t media_packet_count;
	switch_size_t skip_packet_count;
	switch_size_t jb_packet_count;
	switch_size_t dtmf_packet_count;
	switch_size_t cng_packet_count;
	switch_size_t flush_packet_count;
	switch_size_t largest_jb_size;
	int64_t last_proc_time;
	int64_t jitter_n;
	int64_t jitter_add;
	int64_t jitter_addsq;
	double variance;
	double min_variance;
	double max_variance;
	double std_deviation;
	double lossrate;
	double burstrate;
	double mean_interval;
	int loss[1024];
	int last_loss;
	int recved;
	int last_processed_seq;
	switch_size_t flaws;
	switch_size_t last_flaw;
	double R;
	double mos;
	struct error_period *error_log;
} switch_rtp_numbers_t;

typedef struct {
	uint32_t packet_count;
	uint32_t octet_count;
	uint32_t peer_ssrc;
	uint32_t last_rpt_ts;
	uint32_t ssrc;
	uint32_t csrc;
	uint32_t last_pkt_tsdiff;
	double inter_jitter;
	uint32_t last_rpt_ext_seq;
	uint16_t last_rpt_cycle;
	uint16_t period_pkt_count;
	uint16_t pkt_count;
	uint16_t sent_pkt_count;
	uint32_t rtcp_rtp_count;
	uint32_t high_ext_seq_recv;
	uint16_t cycle;
	uint32_t bad_seq;
	uint16_t base_seq;
	uint32_t cum_lost;
	uint32_t last_recv_lsr_local;
	uint32_t last_recv_lsr_peer;
	uint32_t init;
} switch_rtcp_numbers_t;

typedef struct {
	switch_rtp_numbers_t inbound;
	switch_rtp_numbers_t outbound;
	switch_rtcp_numbers_t rtcp;
	uint32_t read_count;
} switch_rtp_stats_t;

/* What an endpoint has set for the media of a leg. */
typedef struct switch_core_media_params_s {
	uint32_t rtp_timeout_sec;
	uint32_t rtp_hold_timeout_sec;
	uint32_t dtmf_delay;
	uint32_t codec_flags;
	switch_core_media_NDLB_t ndlb;
	switch_rtp_bug_flag_t auto_rtp_bugs;
	char *inbound_codec_string;
	char *outbound_codec_string;
	char *timer_name;
	char *remote_sdp_str;
	char *early_sdp;
	char *local_sdp_str;
	char *last_sdp_str;
	char *last_sdp_response;
	char *prev_sdp_str;
	char *prev_sdp_response;
	char *stun_ip;
	switch_port_t stun_port;
	uint32_t stun_flags;
	char *jb_msec;
	switch_core_media_vflag_t vflags;
	switch_rtp_bug_flag_t manual_rtp_bugs;
	switch_rtp_bug_flag_t manual_video_rtp_bugs;
	switch_rtp_bug_flag_t manual_text_rtp_bugs;
	char *rtcp_audio_interval_msec;
	char *rtcp_video_interval_msec;
	char *rtcp_text_interval_msec;
	char *extrtpip;
	char *rtpip;
	char *rtpip4;
	char *rtpip6;
	char *remote_ip;
	int remote_port;
	char *extsipip;
	char *local_network;
	char *sipip;
	char *sdp_username;
	switch_payload_t te;
	switch_payload_t recv_te;
	unsigned long te_rate;
	unsigned long cng_rate;
	char *adv_sdp_audio_ip;
	int num_codecs;
	int hold_laps;
	switch_core_media_dtmf_t dtmf_type;
	switch_payload_t cng_pt;
	switch_bool_t external_video_source;
	uint32_t video_key_freq;
	uint32_t video_key_first;
	switch_thread_t *video_write_thread;
} switch_core_media_params_t;

/* What is asked and told while something plays. */
typedef struct {
	switch_input_callback_function_t input_callback;
	void *buf;
	uint32_t buflen;
	switch_read_frame_callback_function_t read_frame_callback;
	void *user_data;
	switch_ivr_dmachine_t *dmachine;
	int loops;
} switch_input_args_t;

struct switch_core_session_message {
	char *from;
	switch_core_session_message_types_t message_id;
	int numeric_arg;
	const char *string_arg;
	switch_size_t string_arg_size;
	void *pointer_arg;
	switch_size_t pointer_arg_size;
	int numeric_reply;
	char *string_reply;
	switch_size_t string_reply_size;
	void *pointer_reply;
	switch_size_t pointer_reply_size;
	switch_core_session_message_flag_t flags;
	const char *_file;
	const char *_func;
	int _line;
	const char *string_array_arg[10];
	time_t delivery_time;
};

struct switch_scheduler_task {
	int64_t created;
	int64_t runtime;
	uint32_t cmd_id;
	uint32_t repeat;
	char *group;
	void *cmd_arg;
	uint32_t task_id;
	unsigned long hash;
};

struct switch_caller_application {
	char *application_name;
	char *application_data;
	switch_application_function_t application_function;
	struct switch_caller_application *next;
};

struct switch_caller_extension {
	char *extension_name;
	char *extension_number;
	switch_caller_application_t *current_application;
	switch_caller_application_t *last_application;
	switch_caller_application_t *applications;
	struct switch_caller_profile *children;
	struct switch_caller_extension *next;
};

typedef struct switch_app_log switch_app_log_t;

struct switch_app_log {
	char *app;
	char *arg;
	switch_time_t stamp;
	struct switch_app_log *next;
};

/* Loading. */
switch_loadable_module_interface_t *switch_loadable_module_create_module_interface(switch_memory_pool_t *pool,
	const char *name);
void *switch_loadable_module_create_interface(switch_loadable_module_interface_t *mod,
	switch_module_interface_name_t iname);

/* Sessions and channels. */
switch_core_session_t *switch_core_session_perform_locate(const char *uuid_str, const char *file, const char *func,
	int line);
void switch_core_session_rwunlock(switch_core_session_t *session);
char *switch_core_session_get_uuid(switch_core_session_t *session);
switch_log_level_t switch_core_session_get_loglevel(switch_core_session_t *session);
switch_console_callback_match_t *switch_core_session_findall(void);
void switch_core_recovery_track(switch_core_session_t *session);
switch_status_t switch_core_register_secondary_recover_callback(const char *key, switch_core_recover_callback_t cb);
void switch_core_unregister_secondary_recover_callback(const char *key);
int switch_core_add_state_handler(const switch_state_handler_table_t *state_handler);
void switch_core_remove_state_handler(const switch_state_handler_table_t *state_handler);
switch_channel_t *switch_core_session_get_channel(switch_core_session_t *session);
switch_app_log_t *switch_core_session_get_app_log(switch_core_session_t *session);
switch_status_t switch_core_event_hook_add_receive_message(switch_core_session_t *session,
	switch_receive_message_hook_t hook);
switch_status_t switch_core_event_hook_remove_receive_message(switch_core_session_t *session,
	switch_receive_message_hook_t hook);
switch_status_t switch_core_event_hook_add_kill_channel(switch_core_session_t *session,
	switch_kill_channel_hook_t hook);
switch_status_t switch_core_event_hook_remove_kill_channel(switch_core_session_t *session,
	switch_kill_channel_hook_t hook);
switch_call_direction_t switch_channel_direction(switch_channel_t *channel);
void switch_channel_event_set_data(switch_channel_t *channel, switch_event_t *event);
char *switch_channel_expand_variables_check(switch_channel_t *channel, const char *in, switch_event_t *var_list,
	switch_event_t *api_list, uint32_t recur);
switch_caller_extension_t *switch_channel_get_caller_extension(switch_channel_t *channel);
switch_caller_profile_t *switch_channel_get_caller_profile(switch_channel_t *channel);
switch_call_cause_t switch_channel_get_cause(switch_channel_t *channel);
const char *switch_channel_get_hold_music(switch_channel_t *channel);
const char *switch_channel_get_partner_uuid_copy(switch_channel_t *channel, char *buf, switch_size_t blen);
switch_channel_state_t switch_channel_get_running_state(switch_channel_t *channel);
switch_channel_state_t switch_channel_get_state(switch_channel_t *channel);
const char *switch_channel_get_variable_dup(switch_channel_t *channel, const char *varname, switch_bool_t dup, int idx);
switch_status_t switch_channel_perform_answer(switch_channel_t *channel, const char *file, const char *func, int line);
switch_channel_state_t switch_channel_perform_hangup(switch_channel_t *channel, const char *file, const char *func,
	int line, switch_call_cause_t hangup_cause);
const char *switch_channel_cause2str(switch_call_cause_t cause);
void switch_channel_set_originatee_caller_profile(switch_channel_t *channel, switch_caller_profile_t *caller_profile);
void switch_channel_set_originator_caller_profile(switch_channel_t *channel, switch_caller_profile_t *caller_profile);
switch_status_t switch_channel_set_profile_var(switch_channel_t *channel, const char *name, const char *val);
switch_status_t switch_channel_set_variable_var_check(switch_channel_t *channel, const char *varname,
	const char *value, switch_bool_t var_check);
void switch_channel_step_caller_profile(switch_channel_t *channel);
uint32_t switch_channel_test_flag(switch_channel_t *channel, switch_channel_flag_t flag);
void switch_channel_set_flag_value(switch_channel_t *channel, switch_channel_flag_t flag, uint32_t value);
void switch_channel_clear_flag(switch_channel_t *channel, switch_channel_flag_t flag);
int switch_channel_test_ready(switch_channel_t *channel, switch_bool_t check_ready, switch_bool_t check_media);
const char *switch_caller_get_field_by_name(switch_caller_profile_t *caller_profile, const char *name);
switch_caller_profile_t *switch_caller_profile_clone(switch_core_session_t *session, switch_caller_profile_t *tocopy);

/* Answering for a dialplan. */
switch_caller_extension_t *switch_caller_extension_new(switch_core_session_t *session, const char *extension_name,
	const char *extension_number);
void switch_caller_extension_add_application(switch_core_session_t *session,
	switch_caller_extension_t *caller_extension, const char *application_name, const char *extra_data);

/* Finding out whether a destination exists. */
switch_application_interface_t *switch_loadable_module_get_application_interface(const char *name);
switch_dialplan_interface_t *switch_loadable_module_get_dialplan_interface(const char *name);
switch_status_t switch_mutex_lock(switch_mutex_t *lock);
switch_status_t switch_mutex_unlock(switch_mutex_t *lock);
switch_status_t switch_thread_rwlock_unlock(switch_thread_rwlock_t *rwlock);

/* Other modules. */
switch_status_t switch_api_execute(const char *cmd, const char *arg, switch_core_session_t *session,
	switch_stream_handle_t *stream);
switch_status_t switch_core_chat_send_args(const char *dest_proto, const char *proto, const char *from, const char *to,
	const char *subject, const char *body, const char *type, const char *hint, switch_bool_t blocking);

/* The core's database layer. */
switch_status_t _switch_core_db_handle(switch_cache_db_handle_t **dbh, const char *file, const char *func, int line);
void switch_core_sql_exec(const char *sql);
switch_status_t _switch_cache_db_get_db_handle_dsn(switch_cache_db_handle_t **dbh, const char *dsn, const char *file,
	const char *func, int line);
switch_status_t switch_cache_db_execute_sql(switch_cache_db_handle_t *dbh, char *sql, char **err);
switch_status_t switch_cache_db_execute_sql_callback(switch_cache_db_handle_t *dbh, const char *sql,
	switch_core_db_callback_func_t callback, void *pdata, char **err);
void switch_cache_db_flush_handles(void);
switch_cache_db_handle_type_t switch_cache_db_get_type(switch_cache_db_handle_t *dbh);
void switch_cache_db_release_db_handle(switch_cache_db_handle_t **dbh);

/* What a call can be made to do. */
switch_status_t switch_ivr_broadcast(const char *uuid, const char *path, switch_media_flag_t flags);
switch_status_t switch_ivr_media(const char *uuid, switch_media_flag_t flags);
switch_status_t switch_ivr_multi_threaded_bridge(switch_core_session_t *session, switch_core_session_t *peer_session,
	switch_input_callback_function_t dtmf_callback, void *session_data, void *peer_session_data);
switch_status_t switch_ivr_originate(switch_core_session_t *session, switch_core_session_t **bleg,
	switch_call_cause_t *cause, const char *bridgeto, uint32_t timelimit_sec,
	const switch_state_handler_table_t *table, const char *cid_name_override, const char *cid_num_override,
	switch_caller_profile_t *caller_profile_override, switch_event_t *ovars, switch_originate_flag_t flags,
	switch_call_cause_t *cancel_cause, switch_dial_handle_t *dh);
switch_status_t switch_ivr_phrase_macro_event(switch_core_session_t *session, const char *macro_name,
	const char *data, switch_event_t *event, const char *lang, switch_input_args_t *args);
switch_status_t switch_ivr_play_file(switch_core_session_t *session, switch_file_handle_t *fh, const char *file,
	switch_input_args_t *args);
switch_status_t switch_ivr_blind_transfer_ack(switch_core_session_t *session, switch_bool_t success);
switch_status_t switch_ivr_session_transfer(switch_core_session_t *session, const char *extension,
	const char *dialplan, const char *context);
switch_status_t switch_ivr_sleep(switch_core_session_t *session, uint32_t ms, switch_bool_t sync,
	switch_input_args_t *args);
switch_status_t switch_ivr_set_user(switch_core_session_t *session, const char *data);
switch_status_t switch_ivr_transfer_recordings(switch_core_session_t *orig_session, switch_core_session_t *new_session);
switch_status_t switch_ivr_unhold(switch_core_session_t *session);
uint32_t switch_core_session_flush_private_events(switch_core_session_t *session);

/* Sound for many legs at once. */
switch_status_t switch_core_perform_file_open(const char *file, const char *func, int line, switch_file_handle_t *fh,
	const char *file_path, uint32_t channels, uint32_t rate, unsigned int flags, switch_memory_pool_t *pool);
switch_status_t switch_core_file_read(switch_file_handle_t *fh, void *data, switch_size_t *len);
switch_status_t switch_core_file_close(switch_file_handle_t *fh);
switch_status_t switch_core_codec_init_with_bitrate(switch_codec_t *codec, const char *codec_name, const char *modname,
	const char *fmtp, uint32_t rate, int ms, int channels, uint32_t bitrate, uint32_t flags,
	const switch_codec_settings_t *codec_settings, switch_memory_pool_t *pool);
switch_status_t switch_core_codec_encode(switch_codec_t *codec, switch_codec_t *other_codec, void *decoded_data,
	uint32_t decoded_data_len, uint32_t decoded_rate, void *encoded_data, uint32_t *encoded_data_len,
	uint32_t *encoded_rate, unsigned int *flag);
switch_status_t switch_core_codec_destroy(switch_codec_t *codec);
switch_media_handle_t *switch_core_session_get_media_handle(switch_core_session_t *session);
switch_core_media_params_t *switch_core_media_get_mparams(switch_media_handle_t *smh);
switch_codec_t *switch_core_session_get_write_codec(switch_core_session_t *session);
switch_media_flow_t switch_core_session_media_flow(switch_core_session_t *session, switch_media_type_t type);
switch_status_t switch_core_session_read_frame(switch_core_session_t *session, switch_frame_t **frame,
	switch_io_flag_t flags, int stream_id);
switch_status_t switch_core_session_perform_receive_message(switch_core_session_t *session,
	switch_core_session_message_t *message, const char *file, const char *func, int line);
uint32_t switch_core_session_private_event_count(switch_core_session_t *session);
switch_status_t switch_core_media_bug_enumerate(switch_core_session_t *session, switch_stream_handle_t *stream);
switch_rtp_stats_t *switch_core_media_get_stats(switch_core_session_t *session, switch_media_type_t type,
	switch_memory_pool_t *pool);
void switch_core_media_clear_rtp_flag(switch_core_session_t *session, switch_media_type_t type, switch_rtp_flag_t flag);
switch_rtp_t *switch_core_media_get_rtp_session(switch_core_session_t *session, switch_media_type_t type);
uint8_t switch_core_media_ready(switch_core_session_t *session, switch_media_type_t type);
switch_jb_t *switch_rtp_get_jitter_buffer(switch_rtp_t *rtp_session);
void switch_rtp_set_max_missed_packets(switch_rtp_t *rtp_session, uint32_t max);
int switch_rtp_write_frame(switch_rtp_t *rtp_session, switch_frame_t *frame);
uint32_t switch_rtp_get_default_payload(switch_rtp_t *rtp_session);
uint32_t switch_rtp_test_flag(switch_rtp_t *rtp_session, switch_rtp_flag_t flags);
void switch_rtp_set_flag(switch_rtp_t *rtp_session, switch_rtp_flag_t flag);
void switch_rtp_clear_flag(switch_rtp_t *rtp_session, switch_rtp_flag_t flag);
switch_socket_t *switch_rtp_get_rtp_socket(switch_rtp_t *rtp_session);
int switch_socket_fd_get(switch_socket_t *sock);
switch_size_t switch_channel_has_dtmf(switch_channel_t *channel);
switch_status_t switch_channel_dequeue_dtmf(switch_channel_t *channel, switch_dtmf_t *dtmf);
switch_status_t switch_channel_queue_dtmf(switch_channel_t *channel, const switch_dtmf_t *dtmf);
switch_status_t switch_channel_dtmf_lock(switch_channel_t *channel);
switch_status_t switch_channel_dtmf_unlock(switch_channel_t *channel);
switch_ivr_dmachine_t *switch_core_session_get_dmachine(switch_core_session_t *session, switch_digit_action_target_t target);
switch_status_t switch_core_event_hook_add_recv_dtmf(switch_core_session_t *session, switch_recv_dtmf_hook_t recv_dtmf);
switch_status_t switch_core_event_hook_remove_recv_dtmf(switch_core_session_t *session, switch_recv_dtmf_hook_t recv_dtmf);
switch_status_t switch_ivr_parse_all_messages(switch_core_session_t *session);

/* Events. */
switch_status_t switch_event_add_header_string(switch_event_t *event, switch_stack_t stack, const char *header_name,
	const char *data);
switch_status_t switch_event_bind_removable(const char *id, switch_event_types_t event, const char *subclass_name,
	switch_event_callback_t callback, void *user_data, switch_event_node_t **node);
switch_status_t switch_event_create_subclass_detailed(const char *file, const char *func, int line,
	switch_event_t **event, switch_event_types_t event_id, const char *subclass_name);
switch_status_t switch_event_del_header_val(switch_event_t *event, const char *header_name, const char *val);
void switch_event_destroy(switch_event_t **event);
char *switch_event_get_header_idx(switch_event_t *event, const char *header_name, int idx);
switch_status_t switch_event_fire_detailed(const char *file, const char *func, int line, switch_event_t **event,
	void *user_data);
switch_status_t switch_event_free_subclass_detailed(const char *owner, const char *subclass_name);
switch_status_t switch_event_reserve_subclass_detailed(const char *owner, const char *subclass_name);
switch_status_t switch_event_unbind(switch_event_node_t **node);

/* Configuration, console, clock, log, scheduler. */
switch_xml_t switch_xml_open_cfg(const char *file_path, switch_xml_t *node, switch_event_t *params);
switch_status_t switch_xml_reload(const char **err);
void switch_xml_free(switch_xml_t xml);
char *switch_xml_toxml_ex(switch_xml_t xml, switch_bool_t prn_header, switch_bool_t use_utf8_encoding);
switch_status_t switch_xml_locate(const char *section, const char *tag_name, const char *key_name, const char *key_value,
	switch_xml_t *root, switch_xml_t *node, switch_event_t *params, switch_bool_t clone);
int switch_xml_std_datetime_check(switch_xml_t xcond, int *offset, const char *tzname);
switch_status_t switch_console_add_complete_func(const char *name, switch_console_complete_callback_t cb);
switch_status_t switch_console_del_complete_func(const char *name);
void switch_console_push_match(switch_console_callback_match_t **matches, const char *new_val);
switch_status_t switch_console_set_complete(const char *string);
void switch_console_free_matches(switch_console_callback_match_t **matches);
switch_status_t switch_console_stream_raw_write(switch_stream_handle_t *handle, uint8_t *data, switch_size_t datalen);
switch_status_t switch_console_stream_write(switch_stream_handle_t *handle, const char *fmt, ...);
const char *switch_core_get_switchname(void);
char *switch_core_get_uuid(void);
char *switch_core_get_variable_dup(const char *varname);
int32_t switch_core_session_ctl(switch_session_ctl_t cmd, void *val);
void switch_log_printf(switch_text_channel_t channel, const char *file, const char *func, int line,
	const char *userdata, switch_log_level_t level, const char *fmt, ...);
switch_time_t switch_micro_time_now(void);
uint32_t switch_scheduler_add_task(time_t task_runtime, switch_scheduler_func_t func, const char *desc,
	const char *group, uint32_t cmd_id, void *cmd_arg, switch_scheduler_flag_t flags);
uint32_t switch_scheduler_del_task_id(uint32_t task_id);

#endif
