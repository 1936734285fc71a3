/**
 * Where a webhook may lead. Whoever can name an address makes this machine send a request to it, so addresses that are
 * not public (loopback, private networks, link-local ones with the metadata of clouds, and IPv6 forms that hold any
 * of these) are refused, unless the operator has allowed the host by name.
 *
 * A name is looked up when a connection is made, and every address that it has is looked at then and there: what is
 * checked is what is connected to, so a name that answers otherwise the second time gains nothing.
 */
import { type LookupAddress, lookup } from 'node:dns';
import { BlockList, type IPVersion, isIP, type LookupFunction } from 'node:net';
import { TallybookError } from '../engine/errors.ts';

// biome-ignore format: one kind a line
const notPublic4 = networks('ipv4', [
  ['0.0.0.0', 8], ['10.0.0.0', 8], ['172.16.0.0', 12], ['192.168.0.0', 16], // this network, private networks
  ['127.0.0.0', 8], // loopback
  ['169.254.0.0', 16], ['100.64.0.0', 10], // link-local and shared: metadata of clouds, too
  ['168.63.129.16', 32], // a public address that leads to the host of a virtual machine
  ['192.0.0.0', 24], ['192.88.99.0', 24], ['198.18.0.0', 15], // protocols, relays, measurements
  ['192.0.2.0', 24], ['198.51.100.0', 24], ['203.0.113.0', 24], // documentation
  ['224.0.0.0', 4], ['240.0.0.0', 4], // multicast, reserved, broadcast
]);
/** Of IPv6 only this is public: IPv4 in IPv6, translated addresses, local and multicast ones lie outside. */
const global6 = networks('ipv6', [['2000::', 3]]);
// biome-ignore format: one kind a line
const notPublic6 = networks('ipv6', [
  ['2001::', 23], ['2001:db8::', 32], ['3fff::', 20], // protocols (Teredo among them), documentation
  ['2002::', 16], // 6to4: holds an IPv4 address
]);

function networks(version: IPVersion, list: [network: string, prefix: number][]): BlockList {
  const made = new BlockList();
  for (const [network, prefix] of list) made.addSubnet(network, prefix, version);
  return made;
}

export function isPublicAddress(address: string): boolean {
  switch (isIP(address)) {
    case 4:
      return !notPublic4.check(address, 'ipv4');
    case 6:
      // With a zone (fe80::1%eth0) it is local to a link.
      if (address.includes('%')) return false;
      return global6.check(address, 'ipv6') && !notPublic6.check(address, 'ipv6');
    default:
      return false;
  }
}

/** Which hosts are allowed whatever their address: names as in an address, `hooks.internal`, `127.0.0.1`, `::1`. */
export class AllowedHosts {
  readonly #names: ReadonlySet<string>;

  constructor(names: readonly string[]) {
    this.#names = new Set(names.map(plainHost));
  }

  has(host: string): boolean {
    return this.#names.has(plainHost(host));
  }

  /** Throws `webhook_refused` for an address that is written as a number. A name is looked at when it is looked up. */
  check({ hostname }: URL): void {
    const host = plainHost(hostname);
    if (isIP(host) !== 0 && !isPublicAddress(host) && !this.has(host)) throw refused(host, host);
  }

  /** For the `lookup` of a connection: all addresses of a name, if all of them may be connected to. */
  readonly lookup: LookupFunction = (host, options, callback) => {
    lookup(host, { ...options, all: true }, (error, found: LookupAddress[]) => {
      if (error) return callback(error, [], 0);
      const wrong = this.has(host) ? undefined : found.find(({ address }) => !isPublicAddress(address));
      if (wrong) return callback(refused(host, wrong.address) as NodeJS.ErrnoException, [], 0);
      if (options.all) return callback(null, found, 0);
      const [{ address, family } = { address: '', family: 0 }] = found;
      callback(null, address, family);
    });
  };
}

function plainHost(host: string): string {
  return host.toLowerCase().replace(/^\[|\]$|\.$/g, '');
}

function refused(host: string, address: string): TallybookError {
  const found = host === address ? address : `${host} is ${address}, which`;
  return new TallybookError(
    'webhook_refused',
    `${found} is no public address; if the host is yours, allow it by name: serve --allow-webhook-host ${host}`,
  );
}
