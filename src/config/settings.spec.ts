import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Failure } from '../kernel/errors.ts';
import { readSettings, SETTINGS } from './settings.ts';

describe('settings', () => {
  it('have defaults that are valid', () => {
    const settings = readSettings({});
    expect(settings.PORT).toBe(8080);
    expect(settings.baseUrl).toBe('http://127.0.0.1:8080');
    expect(settings.PRELIM_ROLES).toEqual(['api', 'worker', 'listener']);
  });

  it('name every fault at once, without repeating values', () => {
    const env = {
      PORT: '99999',
      PRELIM_ROLES: 'api,cook',
      RIS_URL: 'http://ris',
      HL7_PROT: '1',
      DICOMWEB_URL: 'secret-token@x',
    };
    const failure = failureOf(() => readSettings(env));
    expect(failure.code).toBe('config.invalid');
    expect(failure.issues.map((issue) => issue.at).sort()).toEqual([
      'DICOMWEB_URL',
      'HL7_PROT',
      'PORT',
      'PRELIM_ROLES',
      'RIS_URL',
    ]);
    expect(failure.message).toContain('PORT: must be a whole number from 0 to 65535');
    expect(failure.message).not.toContain('secret-token');
  });

  it('can come from a file, but not twice', () => {
    const file = join(mkdtempSync(join(tmpdir(), 'prelim-settings-')), 'secret');
    writeFileSync(file, 's3cret\n');
    expect(readSettings({ DICOMWEB_TOKEN_FILE: file }).DICOMWEB_TOKEN).toBe('s3cret');
    expect(
      failureOf(() => readSettings({ DICOMWEB_TOKEN_FILE: file, DICOMWEB_TOKEN: 'x' })).issues[0]?.at,
    ).toBe('DICOMWEB_TOKEN');
    expect(failureOf(() => readSettings({ DICOMWEB_TOKEN_FILE: `${file}x` })).message).toContain(
      'cannot be read',
    );
  });

  it('are all in docs/configuration.md, with the same default, and nothing else is', () => {
    const page = readFileSync('docs/configuration.md', 'utf8');
    const rows = [...page.matchAll(/^\| `([A-Z0-9_]+)` \| (.*?) \|/gm)].map((match) => [match[1], match[2]]);
    const expected = Object.entries(SETTINGS).map(([name, setting]) => [
      name,
      setting.default === '' ? '' : `\`${setting.default}\``,
    ]);
    expect(rows).toEqual(expected);
  });
});

function failureOf(act: () => unknown): Failure {
  try {
    act();
  } catch (error) {
    return error as Failure;
  }
  throw new Error('was accepted');
}
