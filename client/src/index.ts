export { TallybookClient, type WaitOptions } from './client.ts';
export { type Event, type Undelivered, UndeliveredError, type Verdict } from './event.ts';
export type { ClientOptions, Retry } from './options.ts';
