import {
  CLIENT_CODE,
  CLIENT_EXTENSION,
  CLIENT_ID_SYSTEM,
} from '../../src/access/registration/basic-to-registration.ts';

/** A name server of the process alone: names of `.test` lead to what the file says, one answer after the other. */
export const STUB_RESOLVER = `
import dns from 'node:dns';
import { appendFileSync, readFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
export const real = dns.lookup;
export const asked = {};
dns.lookup = (name, options, done) => {
  if (!name.endsWith('.test')) return real(name, options, done);
  appendFileSync(process.env.STUB_LOG, name + '\\n');
  const answers = JSON.parse(readFileSync(process.env.STUB_NAMES, 'utf8'))[name] ?? ['127.0.0.1'];
  const at = Math.min((asked[name] = (asked[name] ?? 0) + 1), answers.length) - 1;
  const address = answers[at];
  const family = address.includes(':') ? 6 : 4;
  if (options?.all) done(null, [{ address, family }]); else done(null, address, family);
};
syncBuiltinESMExports();
`;

/** The forms of the clause, with a port that listens. */
export const formsOf = (port: number): readonly string[] => [
  `http://127.0.0.1:${port}/`,
  `http://127.1:${port}/`,
  `http://2130706433:${port}/`,
  `http://0x7f000001:${port}/`,
  `http://017700000001:${port}/`,
  `http://0:${port}/`,
  `http://[::1]:${port}/`,
  `http://[::ffff:127.0.0.1]:${port}/`,
  `http://localhost.:${port}/`,
  'http://169.254.169.254/latest/meta-data/',
  `http://[fe80::1]:${port}/`,
  `http://10.0.0.1:${port}/`,
  `http://user@ehr.example:${port}/`,
  `http://ehr.example@127.0.0.1:${port}/`,
  'file:///etc/passwd',
  `gopher://127.0.0.1:${port}/_x`,
  'https://ehr.example:6379/',
  `http://unlisted.test:${port}/`,
  `http://①②⑦.⓪.⓪.①:${port}/`,
  `http://ehr。example:${port}/`,
];

export const subscription = (endpoint: string, channel: object = {}) => ({
  resourceType: 'Subscription',
  status: 'requested',
  reason: 'test',
  criteria: 'DiagnosticReport?status=preliminary',
  channel: { type: 'rest-hook', endpoint, ...channel },
});
/** A backend service with its keys at an address (docs/access.md). */
export const client = (id: string, jwksUri: string) => ({
  resourceType: 'Basic',
  identifier: [{ system: CLIENT_ID_SYSTEM, value: id }],
  code: { coding: [CLIENT_CODE] },
  extension: [
    {
      url: CLIENT_EXTENSION,
      extension: [
        { url: 'name', valueString: 'T1' },
        { url: 'scope', valueString: 'system/Patient.rs' },
        { url: 'jwks-uri', valueUrl: jwksUri },
      ],
    },
  ],
});
