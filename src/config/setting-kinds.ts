import { isIP } from 'node:net';

/** A kind of setting: text in, typed value out, or an Error whose message says what would be right. */
export interface Kind<T> {
  parse(text: string): T;
}

/** A row of a table of settings. */
export interface SettingDefinition {
  readonly kind: Kind<unknown>;
  readonly default: string;
  readonly means: string;
}

const kind = <T>(parse: (text: string) => T): Kind<T> => ({ parse });

function integer(min: number, max: number): Kind<number> {
  return kind((text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < min || value > max) {
      throw new Error(`must be a whole number from ${min} to ${max}`);
    }
    return value;
  });
}

function oneOf<const T extends string>(allowed: readonly T[]): Kind<T> {
  return kind((text) => {
    if (!allowed.includes(text as T)) throw new Error(`must be one of ${allowed.join(', ')}`);
    return text as T;
  });
}

function list<const T extends string>(allowed: readonly T[]): Kind<readonly T[]> {
  return kind((text) => {
    const parts = split(text, ',');
    if (parts.length === 0 || parts.some((part) => !allowed.includes(part as T))) {
      throw new Error(`must be a comma list out of ${allowed.join(', ')}`);
    }
    return parts as T[];
  });
}

function optionalUrl(protocols: readonly string[]): Kind<URL | null> {
  return kind((text) => {
    if (text === '') return null;
    const url = URL.canParse(text) ? new URL(text) : null;
    if (url === null || !protocols.includes(url.protocol)) {
      throw new Error(`must be a URL that starts with ${protocols.map((p) => `${p}//`).join(' or ')}`);
    }
    // Such an address stands in links and logs. Databases have theirs there, by custom, and those are never shown.
    if (/^(http|mllp|syslog)s?:$/.test(url.protocol) && (url.username !== '' || url.password !== ''))
      throw new Error('must have no user and no password in it: those have settings of their own');
    return url;
  });
}

function split(text: string, separator: string): string[] {
  return text
    .split(separator)
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

export const kinds = {
  integer,
  oneOf,
  list,
  optionalUrl,
  /** Port 0 asks the system for a free one. */
  port: integer(0, 65_535),
  text: kind((text) => text.trim()),
  secret: kind((text) => text),
  folder: kind((text) => {
    if (text.trim() === '') throw new Error('must name a folder');
    return text.trim();
  }),
  folders: kind((text) => split(text, ':')),
  timeZone: kind((text) => {
    if (text === '') return null;
    try {
      return new Intl.DateTimeFormat('en', { timeZone: text }).resolvedOptions().timeZone;
    } catch {
      throw new Error('must be a time zone such as Europe/Vienna');
    }
  }),
  /** Address ranges: `10.0.0.0/8,fd12::/16`. */
  networks: kind((text) =>
    split(text, ',').map((part) => {
      const [address = '', bits = ''] = part.split('/');
      const family = isIP(address);
      if (family === 0 || !/^\d{1,3}$/.test(bits) || Number(bits) > (family === 4 ? 32 : 128))
        throw new Error('must be a comma list of address ranges such as 10.20.0.0/16');
      return part;
    }),
  ),
  /** Origins (RFC 6454): scheme, host and port, and nothing that a Content-Security-Policy could read as more. */
  origins: kind((text) =>
    split(text, ',').map((part) => {
      const url = URL.canParse(part) ? new URL(part) : null;
      if (!url || !/^https?:$/.test(url.protocol) || !/^https?:\/\/[A-Za-z0-9.:[\]-]+\/?$/.test(part))
        throw new Error('must be a comma list of origins such as https://ehr.example');
      return url.origin;
    }),
  ),
  /** Secrets by host, as JSON. What is wrong is said without the text itself. */
  secretsByHost: kind((text): Readonly<Record<string, string>> => {
    if (text.trim() === '') return {};
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      throw new Error('must be JSON such as {"ehr.example":"a secret of 32 characters or more"}');
    }
    const entries =
      typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.entries(value) : [];
    if (
      entries.length === 0 ||
      entries.some(([, secret]) => typeof secret !== 'string' || secret.length < 32)
    )
      throw new Error('must be a JSON object with one secret of 32 characters or more per host');
    return Object.fromEntries(entries.map(([host, secret]) => [host.toLowerCase(), String(secret)]));
  }),
  hosts: kind((text) =>
    split(text, ',').map((part) => {
      if (!/^[A-Za-z0-9.-]+(:\d{1,5})?$/.test(part))
        throw new Error('must be a comma list of host or host:port');
      return part.toLowerCase();
    }),
  ),
};
