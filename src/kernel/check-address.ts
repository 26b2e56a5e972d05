import type { lookup as systemLookup } from 'node:dns';
import { BlockList, isIP, type LookupFunction } from 'node:net';

/** What may be called, beside public addresses. */
export interface AddressRules {
  /** Address ranges of our own network in which listed names may lie. */
  readonly networks: readonly string[];
}

/**
 * Is it an http(s) address on a host that the operator listed, without a user in it? A name without a port stands for the port of the scheme only:
 * other ports of a host are other services.
 */
export function isListedHost(url: URL, hosts: readonly string[]): boolean {
  const port = url.port || (url.protocol === 'https:' ? '443' : '80');
  return (
    ['http:', 'https:'].includes(url.protocol) &&
    url.username === '' &&
    url.password === '' &&
    hosts.some((host) => host === url.host || host === `${url.hostname}:${port}`)
  );
}

/**
 * May a connection go to this address? `named`: the endpoint itself names the address, and the operator's list of hosts has it so: then it may be
 * private, even this machine. A *name* leads only to public addresses and to the networks that the operator gave: who can change the name
 * could else reach whatever we can. Link-local addresses (clouds keep their credentials there), multicast and "any" never.
 */
export function mayConnect(address: string, named: boolean, rules: AddressRules): boolean {
  const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
  if (isIP(address) === 0 || NEVER.check(address, family)) return false;
  if (LOOPBACK.check(address, family)) return named;
  if (!PRIVATE.check(address, family)) return true;
  return named || ranges(rules.networks).check(address, family);
}

/**
 * A look-up for `http.request` that lets through only names whose every address may be called: any of them could be taken. The connection goes
 * to an address that was checked, so a second answer of the name server changes nothing.
 */
export function checkedLookup(
  lookup: typeof systemLookup,
  rules: AddressRules,
  notAllowed: () => Error,
): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, addresses) => {
      if (error) return callback(error, '', 0);
      const [first] = addresses;
      if (!first || !addresses.every(({ address }) => mayConnect(address, false, rules)))
        return callback(notAllowed(), '', 0);
      if (options.all) callback(null, addresses);
      else callback(null, first.address, first.family);
    });
  };
}

/** IPv4 addresses inside IPv6 (`::ffff:10.0.0.1`) are known to BlockList as what they are. */
const NEVER = ranges([
  '0.0.0.0/8',
  '169.254.0.0/16',
  '192.0.0.0/24',
  '224.0.0.0/3',
  '::/128',
  'fe80::/10',
  'fec0::/10',
  'ff00::/8',
  'fd00:ec2::/32',
  // Addresses that stand for IPv4 ones by translation or tunnel: what is behind cannot be told.
  '64:ff9b::/96',
  '64:ff9b:1::/48',
  '2002::/16',
  '2001::/32',
]);
const LOOPBACK = ranges(['127.0.0.0/8', '::1/128']);
const PRIVATE = ranges([
  '10.0.0.0/8',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '100.64.0.0/10',
  '198.18.0.0/15',
  'fc00::/7',
]);

function ranges(list: readonly string[]): BlockList {
  const made = new BlockList();
  for (const range of list) {
    const [address = '', bits] = range.split('/');
    made.addSubnet(address, Number(bits), isIP(address) === 6 ? 'ipv6' : 'ipv4');
  }
  return made;
}
