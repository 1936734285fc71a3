/**
 * Where a log is, in one line: `nats://n1:4222,n2:4222,n3:4222/tallybook?replicas=3`.
 *
 * Servers of one cluster, separated by commas; a user and a password before them, if they are needed; `tls://` where
 * the connection must be encrypted. The path names the log. The parameters say how many servers keep each message where
 * the log is made, and how many bytes it may hold.
 */
import { TallybookError } from '../engine/errors.ts';
import { limits } from '../engine/limits.ts';

export interface LogAddress {
  servers: string[];
  tls: boolean;
  user: string | undefined;
  password: string | undefined;
  /** A file with a JWT and its seed, as `nsc` writes it. */
  credentials: string | undefined;
  name: string;
  replicas: number;
  bytes: number;
}

const expected =
  'expected nats://HOST[:PORT][,HOST…][/NAME][?replicas=N&max_bytes=N&creds=FILE], or tls:// for an encrypted connection';
const parameters = ['replicas', 'max_bytes', 'creds'];

/** Throws `bad_settings`, without the password. */
export function logAddress(text: string): LogAddress {
  const [, scheme, userinfo, hosts, name = '', query = ''] =
    /^(nats|tls):\/\/(?:([^@/]*)@)?([^/?@]+)(?:\/([^?]*))?(?:\?(.*))?$/.exec(text) ?? [];
  if (hosts === undefined) throw bad(`it is no address of NATS; ${expected}`);
  const servers = hosts.split(',').map((host) => host.trim());
  for (const server of servers)
    if (!/^([\w.-]+|\[[0-9a-fA-F:]+\])(:[0-9]{1,5})?$/.test(server))
      throw bad(`${server.slice(0, 100)} is no HOST or HOST:PORT; ${expected}`);
  const given = new URLSearchParams(query);
  for (const parameter of given.keys())
    if (!parameters.includes(parameter)) throw bad(`there is no parameter ${parameter}; ${expected}`);
  if (name !== '' && !/^[A-Za-z0-9_-]{1,64}$/.test(name))
    throw bad(`the log is called ${name.slice(0, 100)}; expected 1 to 64 letters, digits, _ or -`);
  const replicas = wholeNumber(given, 'replicas') ?? (servers.length >= 3 ? 3 : 1);
  if (![1, 3, 5].includes(replicas)) throw bad(`replicas is ${replicas}; expected 1, 3 or 5`);
  const colon = userinfo?.indexOf(':') ?? -1;
  return {
    servers,
    tls: scheme === 'tls',
    user: userinfo === undefined ? undefined : decoded(colon < 0 ? userinfo : userinfo.slice(0, colon)),
    password: colon < 0 ? undefined : decoded(userinfo!.slice(colon + 1)),
    credentials: given.get('creds') ?? undefined,
    name: name === '' ? 'tallybook' : name,
    replicas,
    bytes: wholeNumber(given, 'max_bytes') ?? limits.log_bytes,
  };
}

function wholeNumber(given: URLSearchParams, name: string): number | undefined {
  const text = given.get(name);
  if (text === null) return undefined;
  if (!/^[1-9][0-9]{0,14}$/.test(text))
    throw bad(`${name} is ${text.slice(0, 100)}; expected a whole number`);
  return Number(text);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw bad('user or password have a % that is not written as %25');
  }
}

function bad(found: string): TallybookError {
  return new TallybookError('bad_settings', `--log: ${found}`);
}
