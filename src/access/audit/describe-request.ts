import type { AuditEntry, AuditKind } from '../../database/audit-sink.ts';

/** What a request asks for, told by its method and URL alone. */
export interface Described {
  readonly kind: AuditKind;
  /** R4 valueset-restful-interaction where it is one; the name of an operation; else a word of ours. */
  readonly interaction: string;
  readonly action: AuditEntry['action'];
  readonly entity?: string;
  readonly version?: string;
  readonly query?: string;
  /** A study of the archive, whose patient is looked up. */
  readonly study?: string;
}

/**
 * Null: nothing that is recorded when it succeeds (whether the server lives, what it can do, the page's static parts). What the token check refuses
 * is recorded wherever it was.
 */
export function describeRequest(method: string, url: string): Described | null {
  const read = method === 'GET' ? PLAIN_READ.exec(url)?.[1] : undefined;
  // What is asked for most, said without taking the path apart.
  if (read !== undefined) return { kind: 'rest', interaction: 'read', action: 'R', entity: read };
  const mark = url.indexOf('?');
  const query = mark === -1 ? '' : url.slice(mark + 1);
  const segments = (mark === -1 ? url : url.slice(0, mark)).split('/').filter((one) => one !== '');
  const [door = '', ...path] = segments;
  const described = DOORS[door]?.(method === 'HEAD' ? 'GET' : method, path.map(decoded)) ?? null;
  return described && query !== '' ? { ...described, query: decodedQuery(query) } : described;
}

/** Reads one resource by its id, and nothing else. */
export const isPlainRead = (method: string, url: string): boolean => method === 'GET' && PLAIN_READ.test(url);

/** No other request looks like this: operations and histories have a `$` or `_`, `metadata` has one part. */
const PLAIN_READ = /^\/fhir\/([A-Z][A-Za-z]{1,63}\/[A-Za-z0-9.-]{1,64})$/;

type Door = (method: string, path: readonly string[]) => Described | null;

const DOORS: Readonly<Record<string, Door>> = {
  fhir: describeFhir,
  dicomweb: describeDicomweb,
  worklist: (method, [api, ...path]) => (api === 'api' ? describePage(method, path) : null),
  jobs: (method, path) => ({
    kind: 'operator',
    interaction: `jobs-${path.at(-1) ?? 'list'}`,
    action: method === 'GET' ? 'R' : 'E',
  }),
  hl7: describeMessageLog,
  auth: (method, path) =>
    method === 'POST' ? { kind: 'sign-in', interaction: path.join('-') || 'token', action: 'E' } : null,
};

/** R4 http.html#summary. */
function describeFhir(method: string, path: readonly string[]): Described | null {
  const rest = (
    interaction: string,
    action: Described['action'],
    more: Partial<Described> = {},
  ): Described => ({
    kind: 'rest',
    interaction,
    action,
    ...more,
  });
  const [first = '', second = '', third = '', fourth = ''] = path;
  if (first === 'metadata') return null;
  const operation = path.find((segment) => segment.startsWith('$') || segment === '_bulk');
  if (operation !== undefined) {
    const entity = path.slice(0, path.indexOf(operation)).join('/');
    return rest(operation, 'E', entity === '' ? {} : { entity });
  }
  if (first === '') return method === 'POST' ? rest('batch', 'E') : rest('search-system', 'E');
  if (first === '_search') return rest('search-system', 'E');
  if (first === '_history') return rest('history-system', 'R');
  if (second === '' || second === '_search' || second === '_history') {
    const entity = first;
    if (second === '_history') return rest('history-type', 'R', { entity });
    if (second === '_search' || method === 'GET') return rest('search-type', 'E', { entity });
    return rest(WRITES[method]?.[0] ?? method.toLowerCase(), WRITES[method]?.[1] ?? 'E', { entity });
  }
  const entity = `${first}/${second}`;
  if (third === '_history')
    return fourth === ''
      ? rest('history-instance', 'R', { entity })
      : rest('vread', 'R', { entity, version: fourth });
  if (third !== '') return rest('search-compartment', 'E', { entity });
  if (method === 'GET') return rest('read', 'R', { entity });
  return rest(WRITES[method]?.[0] ?? method.toLowerCase(), WRITES[method]?.[1] ?? 'E', { entity });
}

const WRITES: Readonly<Record<string, readonly [string, Described['action']]>> = {
  POST: ['create', 'C'],
  PUT: ['update', 'U'],
  PATCH: ['patch', 'U'],
  DELETE: ['delete', 'D'],
};

/** PS3.18 10.4 to 10.6: QIDO-RS, WADO-RS, STOW-RS. */
function describeDicomweb(method: string, path: readonly string[]): Described {
  const at = path.indexOf('studies');
  const study = at === -1 ? undefined : path[at + 1];
  const isUid = study !== undefined && /^[0-9.]{1,64}$/.test(study);
  const about = isUid ? { study, entity: `urn:oid:${study}` } : {};
  if (method === 'POST') return { kind: 'dicomweb', interaction: 'stow', action: 'C', ...about };
  const asksForList = ['studies', 'series', 'instances'].includes(path.at(-1) ?? '');
  return asksForList
    ? { kind: 'dicomweb', interaction: 'qido', action: 'E', ...about }
    : { kind: 'dicomweb', interaction: 'wado', action: 'R', ...about };
}

/** What operators read of messages, and all they do. What waits, what is held and what is wrong now, which the page asks for again and again, names nobody. */
function describeMessageLog(method: string, [first = '', ...rest]: readonly string[]): Described | null {
  const [direction, id, raw] = rest;
  const isOne = first === 'messages' && direction !== undefined && id !== undefined;
  const entity = isOne ? { entity: `urn:prelim:hl7:${direction}:${id}` } : {};
  if (method !== 'GET')
    return { kind: 'operator', interaction: `hl7-${rest.at(-1) ?? first}`, action: 'E', ...entity };
  if (first !== 'messages') return null;
  if (!isOne) return { kind: 'operator', interaction: 'hl7-messages', action: 'E' };
  const interaction = raw === undefined ? 'hl7-message' : 'hl7-raw';
  return { kind: 'operator', interaction, action: 'R', ...entity };
}

function describePage(method: string, [what = '', id]: readonly string[]): Described {
  return {
    kind: 'page',
    interaction: `worklist-${what}`,
    action: method === 'GET' ? 'R' : 'U',
    ...(id === undefined ? {} : { entity: `Task/${id}` }),
  };
}

/** A path that is not well formed is kept as it came. */
function decoded(segment: string): string {
  if (!segment.includes('%')) return segment;
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}

const decodedQuery = (query: string): string => decoded(query.replaceAll('+', ' '));
