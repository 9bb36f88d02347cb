/** The exports of a module: every call, with its arguments and its result. */

/**
 * The kind of an argument. `machine`, `gate` and `topic` are numbers that the module returned, and `slot` is one that
 * it does not hold: the package never passes others. All other kinds may be anything: they come from users, servers and
 * other tabs.
 */
export type Argument =
  | 'machine'
  | 'gate'
  | 'topic'
  | 'slot'
  | 'text'
  | 'now'
  | 'number'
  | 'code'
  | 'flag'
  | 'election';

/**
 * The kind of a result: a number of records, the same or -1 for a failure, the number of an object, or anything else.
 */
export type Returned =
  | 'records'
  | 'records?'
  | 'client'
  | 'hub'
  | 'gates'
  | 'topic'
  | 'gate'
  | 'failure?'
  | 'freed'
  | 'other';

const machine = (returned: Returned, ...passed: Argument[]): Signature => [returned, 'machine', ...passed];

type Signature = readonly [Returned, ...Argument[]];

/** Every call by its name. */
export const CALLS: Readonly<Record<string, Signature>> = {
  intern_topic: ['topic', 'text'],
  sweep_topics: ['records'],
  stage_flow: ['other', 'flag', 'number', 'number', 'number', 'code', 'code', 'code', 'number', 'flag'],
  stage_durable: ['other', 'text'],
  stage_slow: ['other', 'code'],
  token_timeout_ms: ['other'],
  stage_position: ['other', 'topic', 'number', 'number'],

  client_new: ['client', 'number', 'text', 'flag', 'text'],
  client_shared: ['client', 'number', 'text', 'flag', 'text', 'number', 'election', 'number', 'text'],
  client_free: machine('freed'),
  client_handle_connect: machine('records', 'now'),
  client_handle_disconnect: machine('records', 'now'),
  client_handle_opened: machine('records', 'now', 'code'),
  client_handle_closed: machine('records', 'now', 'code'),
  client_handle_frame: machine(
    'records?',
    'now',
    'code',
    'code',
    'text',
    'text',
    'text',
    'number',
    'number',
    'number',
    'flag',
  ),
  client_intern_pattern: machine('failure?', 'text'),
  client_forget_patterns: machine('other'),
  client_handle_publication: machine(
    'records',
    'now',
    'code',
    'code',
    'topic',
    'number',
    'number',
    'code',
    'slot',
  ),
  client_handle_delta: machine(
    'records',
    'now',
    'code',
    'code',
    'topic',
    'number',
    'number',
    'number',
    'slot',
  ),
  client_handle_handed: machine('other', 'now', 'topic', 'number', 'number', 'slot'),
  client_add_to_batch: machine('other', 'topic', 'number', 'number', 'code', 'slot'),
  client_drop_batch: machine('other'),
  client_handle_batch: machine('records', 'now', 'code', 'code'),
  client_handle_timeout: machine('records', 'now'),
  client_drain: machine('records'),
  client_poll_timeout: machine('other'),
  client_handle_token: machine('records', 'now', 'code', 'text'),
  client_handle_subscribe: machine('failure?', 'now', 'text', 'code'),
  client_handle_unsubscribe: machine('records', 'now', 'code'),
  client_handle_handled: machine('records', 'now', 'code', 'topic', 'number', 'number'),
  client_handle_forget: machine('records', 'now', 'code'),
  client_handle_move: machine('records', 'now'),
  client_handle_hurry: machine('records', 'now'),
  client_handle_pause: machine('records', 'now'),
  client_handle_flow: machine('failure?', 'now', 'code'),
  client_handle_publish: machine('other', 'now', 'topic', 'slot', 'code', 'text', 'flag'),
  client_handle_tick: machine('records', 'now'),
  client_wants_tick: machine('other'),
  client_handle_track: machine('failure?', 'now', 'topic', 'text', 'slot'),
  client_handle_retrack: machine('records', 'now', 'number', 'slot'),
  client_handle_untrack: machine('records', 'now', 'number'),
  client_handle_watch: machine('records', 'now', 'topic'),
  client_handle_unwatch: machine('records', 'now', 'topic'),
  client_add_join: machine('failure?', 'text', 'number', 'number', 'slot'),
  client_add_leave: machine('failure?', 'text', 'number', 'number'),
  client_drop_presences: machine('other'),
  client_handle_presences: machine('records', 'now', 'code', 'topic', 'flag'),
  client_handle_granted: machine('records', 'now', 'code'),
  client_handle_lost: machine('records', 'now', 'code'),
  client_handle_page: machine('records', 'now', 'code'),
  client_stage_sender: machine('other', 'number', 'number', 'number'),
  client_handle_said: machine('records', 'now', 'code', 'flag', 'code'),
  client_stage_member: machine('other', 'number', 'code'),
  client_handle_lead: machine('records', 'now', 'text', 'code', 'code', 'text', 'text'),
  client_handle_said_token: machine('records', 'now', 'code', 'text'),
  client_handle_up_subscribe: machine('records?', 'now', 'code', 'text', 'code'),
  client_handle_up_flow: machine('records?', 'now', 'code', 'text'),
  client_handle_up_publish: machine(
    'records?',
    'now',
    'code',
    'number',
    'topic',
    'slot',
    'code',
    'text',
    'flag',
  ),
  client_handle_up_track: machine('records?', 'now', 'code', 'number', 'topic', 'text', 'slot'),
  client_handle_up_watch: machine('records?', 'now', 'code', 'number', 'topic', 'flag'),
  client_handle_up: machine('records?', 'now', 'code', 'code', 'text', 'number'),

  hub_new: ['hub', 'number', 'number'],
  hub_free: machine('freed'),
  hub_terminal_field: machine('other'),
  hub_handle_publish: machine('records?', 'now', 'topic', 'slot', 'code', 'text', 'text', 'flag', 'number'),
  hub_handle_handed: machine('other', 'now', 'topic', 'number', 'slot', 'flag'),
  hub_handle_subscribe: machine('failure?', 'now', 'text', 'code'),
  hub_handle_unsubscribe: machine('records', 'code'),
  hub_handle_flow: machine('failure?', 'now', 'code'),
  hub_handle_tick: machine('records', 'now'),
  hub_wants_tick: machine('other'),
  hub_handle_timeout: machine('records', 'now'),
  hub_drain: machine('records'),
  hub_poll_timeout: machine('other'),
  hub_is_holding: machine('other'),

  gates_new: ['gates'],
  gates_throttle: machine('gate', 'number', 'flag', 'flag'),
  gates_debounce: machine('gate', 'number', 'number', 'flag', 'flag'),
  gates_handle_call: machine('records', 'now', 'gate', 'slot'),
  gates_handle_held: machine('other', 'now', 'gate', 'slot'),
  gates_handle_flush: machine('records', 'now', 'gate'),
  gates_handle_cancel: machine('records', 'now', 'gate'),
  gates_handle_timeout: machine('records', 'now'),
  gates_is_pending: machine('other', 'gate'),
  gates_poll_timeout: machine('other'),
};

/** Exports that are not such calls: those for reading and writing texts and records, and the panic for tests. */
export const OTHERS: ReadonlySet<string> = new Set([
  'panic_on_purpose',
  'records_at',
  'stage_text',
  'text_at',
  'told_at',
  'told_length',
]);
