import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { TLS_CLIENT, TLS_SERVER } from '../../test/fixtures/tls-certificates.ts';
import { readTlsFiles } from './read-tls-files.ts';

const folder = mkdtempSync(join(tmpdir(), 'prelim-tls-'));
const file = (name: string, text: string) => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};
const cert = file('cert.pem', TLS_SERVER.cert);
const key = file('key.pem', TLS_SERVER.key);
const foreignKey = file('foreign.pem', TLS_CLIENT.key);
const text = file('text.pem', 'NAME=SECRET');
const missing = join(folder, 'none.pem');
const read = (CERT: string, KEY: string, CA: string) =>
  readTlsFiles({ HL7_TLS_CERT: CERT, HL7_TLS_KEY: KEY, HL7_TLS_CA: CA });

describe('TLS files named in settings', () => {
  it('are read as PEM text, each of them only when it is named', () => {
    expect(read('', '', '')).toBeNull();
    expect(read('', '', cert)).toEqual({ ca: TLS_SERVER.cert });
    expect(read(cert, key, cert)).toEqual({
      ca: TLS_SERVER.cert,
      cert: TLS_SERVER.cert,
      key: TLS_SERVER.key,
    });
  });

  it.each([
    ['a certificate without its key', cert, '', '', ['HL7_TLS_KEY']],
    ['a key without its certificate', '', key, '', ['HL7_TLS_CERT']],
    [
      'files that are not there, each named',
      missing,
      missing,
      missing,
      ['HL7_TLS_CERT', 'HL7_TLS_KEY', 'HL7_TLS_CA'],
    ],
    ['the key of another certificate', cert, foreignKey, '', ['HL7_TLS_KEY']],
    ['text for a certificate', text, key, '', ['HL7_TLS_CERT']],
    ['text for a key', cert, text, '', ['HL7_TLS_KEY']],
    ['text for authorities', '', '', text, ['HL7_TLS_CA']],
  ])('are refused at start by the name of the setting: %s', (_what, c, k, ca, at) => {
    try {
      read(c, k, ca);
      expect.unreachable();
    } catch (error) {
      const failure = error as { code: string; message: string; issues: { at: string }[] };
      expect(failure.code).toBe('config.invalid');
      expect(failure.issues.map((issue) => issue.at)).toEqual(at);
      for (const name of at) expect(failure.message).toContain(name);
      expect(failure.message).not.toMatch(/SECRET|pem/);
    }
  });
});
