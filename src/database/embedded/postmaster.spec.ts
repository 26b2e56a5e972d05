import { describe, expect, it } from 'vitest';
import { sharedBuffersMb } from './postmaster.ts';

const GB = 2 ** 30;

describe("PostgreSQL's own cache", () => {
  it.each([
    [0.5 * GB, 128],
    [1 * GB, 128],
    [4 * GB, 512],
    [16 * GB, 2_048],
    [256 * GB, 8_192],
  ])('on a machine with %d bytes is %d MB', (bytes, megabytes) => {
    expect(sharedBuffersMb(bytes)).toBe(megabytes);
  });
});
