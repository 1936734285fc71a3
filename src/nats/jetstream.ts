/**
 * The log as JetStream keeps it: a stream that holds a message until it is acknowledged, and knows the ids of recent
 * ones; and one durable consumer, from which one node takes in order.
 *
 * The stream has no limit of its own: the doors keep it to its size (publisher.ts). With `max_bytes` and `discard: new`
 * a server of version 2.9 looks whether there is room without counting what it stores beside a message, and then makes
 * room by deleting the oldest (nats-server issues 4771 and 4775): of 109 messages that it had acknowledged, the test of
 * a full log found 62.
 */

import { readFile } from 'node:fs/promises';
import {
  AckPolicy,
  type ConsumerInfo,
  DeliverPolicy,
  DiscardPolicy,
  JetStreamApiCodes,
  JetStreamApiError,
  type JetStreamClient,
  type JetStreamManager,
  jetstream,
  jetstreamManager,
  RetentionPolicy,
  StorageType,
  type StoredMsg,
  type StreamInfo,
} from '@nats-io/jetstream';
import {
  type ConnectionOptions,
  connect,
  credsAuthenticator,
  type NatsConnection,
  nanos,
} from '@nats-io/transport-node';
import { TallybookError } from '../engine/errors.ts';
import { limits } from '../engine/limits.ts';
import type { LogAddress } from './address.ts';

export const durable = 'tallybook';
/** A message that is taken and not acknowledged for this long comes again. */
export const acknowledgeMilliseconds = 10_000;
/** How long a server may take to answer. */
const answerMilliseconds = 5_000;

export interface JetStream {
  connection: NatsConnection;
  publishing: JetStreamClient;
  managing: JetStreamManager;
}

export type Credentials = Pick<ConnectionOptions, 'user' | 'pass' | 'token' | 'authenticator'>;

/** Who connects. Throws `bad_settings` when the file cannot be read. */
export async function credentialsOf({ user, password, credentials }: LogAddress): Promise<Credentials> {
  if (credentials !== undefined) {
    try {
      return { authenticator: credsAuthenticator(await readFile(credentials)) };
    } catch (error) {
      const detail = `--log: creds=${credentials} cannot be read: ${(error as Error).message}`;
      throw new TallybookError('bad_settings', detail);
    }
  }
  if (user === undefined) return {};
  return password === undefined ? { token: user } : { user, pass: password };
}

/** Connects to one of the servers; a connection that is lost later is made again, for as long as it takes. */
export async function connectTo({ servers, tls }: LogAddress, credentials: Credentials): Promise<JetStream> {
  const connection = await connect({
    servers,
    ...credentials,
    ...(tls ? { tls: {} } : {}),
    name: 'tallybook',
    maxReconnectAttempts: -1,
    ignoreAuthErrorAbort: true,
    reconnectTimeWait: 250,
    pingInterval: 5_000,
    maxPingOut: 2,
    timeout: answerMilliseconds,
  });
  const waits = { timeout: answerMilliseconds };
  const managing = await jetstreamManager(connection, { ...waits, checkAPI: false });
  return { connection, managing, publishing: jetstream(connection, waits) };
}

/** Subjects of the log: its name, and the stream after a dot. */
export function subjectOf(log: string, stream: string): string {
  return `${log}.${stream}`;
}

/**
 * Finds the log, or makes it. Throws `bad_settings` where one of that name is something else: messages could be lost.
 */
export async function findLog({ managing }: JetStream, address: LogAddress): Promise<StreamInfo> {
  const { name, replicas } = address;
  let info: StreamInfo;
  try {
    info = await managing.streams.info(name);
  } catch (error) {
    if (!isMissing(error)) throw error;
    info = await managing.streams.add({
      name,
      subjects: [`${name}.>`],
      retention: RetentionPolicy.Workqueue,
      storage: StorageType.File,
      discard: DiscardPolicy.New,
      num_replicas: replicas,
      duplicate_window: nanos(limits.log_duplicate_seconds * 1000),
    });
  }
  const { config } = info;
  const faults = [
    config.retention === RetentionPolicy.Workqueue ? [] : [`retention is ${config.retention}, not workqueue`],
    config.storage === StorageType.File ? [] : [`storage is ${config.storage}, not file`],
    config.discard === DiscardPolicy.New ? [] : [`discard is ${config.discard}, not new`],
    (['max_age', 'max_bytes', 'max_msgs', 'max_msgs_per_subject'] as const).flatMap((limit) =>
      config[limit] > 0 ? `${limit} is set, and messages could vanish` : [],
    ),
    config.subjects.includes(`${name}.>`) ? [] : [`subjects do not name ${name}.>`],
  ].flat();
  if (faults.length > 0) {
    throw new TallybookError(
      'bad_settings',
      `--log: the JetStream stream ${name} cannot be used: ${faults.join('; ')}. Name another one, and it is made`,
    );
  }
  return info;
}

/** Another log of the same name, made later, has another identity. */
export function identityOf(info: StreamInfo): string {
  return `${info.config.name}@${info.created}`;
}

/** Finds the consumer, or makes it. */
export async function findConsumer({ managing }: JetStream, log: string): Promise<ConsumerInfo> {
  try {
    return await managing.consumers.info(log, durable);
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
  return managing.consumers.add(log, {
    durable_name: durable,
    ack_policy: AckPolicy.Explicit,
    deliver_policy: DeliverPolicy.All,
    ack_wait: nanos(acknowledgeMilliseconds),
    max_ack_pending: limits.log_taking_messages,
    max_deliver: -1,
  });
}

/** The first message of the log from a number on, as it is stored, whoever it was given to; null where there is none. */
export function storedMessage({ managing }: JetStream, log: string, from: number): Promise<StoredMsg | null> {
  const request = { seq: from, next_by_subj: `${log}.>` };
  return managing.streams.getMessage(log, request);
}

export function isMissing(error: unknown): boolean {
  const codes: number[] = [JetStreamApiCodes.StreamNotFound, JetStreamApiCodes.ConsumerNotFound];
  return error instanceof JetStreamApiError && codes.includes(error.code);
}

/** The log holds as much as it may, or its servers have no room. */
export function isFull(error: unknown): boolean {
  const full = [10_077, 10_023, 10_047, 10_028];
  return error instanceof JetStreamApiError && full.includes(error.code);
}
