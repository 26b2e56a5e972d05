import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

const dockerfile = readFileSync('Dockerfile', 'utf8');
const compose = readFileSync('docker-compose.yml', 'utf8');
const lines = (path: string): string[] => readFileSync(path, 'utf8').split('\n');

describe('the container image', () => {
  it('has every folder that a server without it would lack', () => {
    const copied = [...dockerfile.matchAll(/--from=build \/prelim\/(\S+)/g)].map(
      ([, path]) => path as string,
    );
    const shipped = ['access-roles', 'fhir-profiles', 'models', 'protocols', 'ris-profiles', 'terminology'];
    expect(copied).toEqual(expect.arrayContaining(['package.json', 'node_modules', 'dist', ...shipped]));
    for (const folder of shipped) expect(existsSync(folder), folder).toBe(true);
  });

  it('is built from nothing that git ignores', () => {
    const ignored = lines('.gitignore')
      .filter((line) => line !== '')
      .map((line) => line.replace(/\/$/, ''));
    expect(lines('.dockerignore')).toEqual(expect.arrayContaining([...ignored, '.git', '.env']));
  });

  it('is given the time that the server takes to finish what it began', () => {
    const stopsWithinMs = Number(
      /STOP_WAIT_MS = ([\d_]+)/.exec(readFileSync('src/serve.ts', 'utf8'))?.[1]?.replace('_', ''),
    );
    const graceS = Number(/stop_grace_period: (\d+)s/.exec(compose)?.[1]);
    expect(graceS * 1_000).toBeGreaterThan(stopsWithinMs);
  });
});
