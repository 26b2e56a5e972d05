import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type FreshDatabase, freshDatabase } from '../../test/database.ts';
import { KEPT_FILE_BYTES_MAX, KeptFileStore } from './kept-file.store.ts';

let fresh: FreshDatabase;
let store: KeptFileStore;

beforeAll(async () => {
  fresh = await freshDatabase();
  store = new KeptFileStore(fresh.database);
});
afterAll(() => fresh.close());

test('A kept file comes back byte for byte, also from a view into a larger buffer', async () => {
  const bytes = new Uint8Array(randomBytes(70_000)).subarray(7, 60_007);
  const id = await store.keep(fresh.database, bytes, 'image/png');
  const kept = await store.read(id);
  expect(kept.mediaType).toBe('image/png');
  expect(Buffer.compare(kept.bytes, bytes)).toBe(0);
});

test('A file kept in a transaction that rolls back was never kept', async () => {
  let id = '';
  const failed = fresh.database.transaction(async (tx) => {
    id = await store.keep(tx, new Uint8Array([1]), 'image/png');
    expect((await store.read(id, tx)).bytes).toHaveLength(1);
    throw new Error('later in the same transaction');
  });
  await expect(failed).rejects.toThrow('later');
  await expect(store.read(id)).rejects.toMatchObject({ code: 'queue.file-missing' });
});

test('A dropped file is missing by name, and dropping it again is no fault', async () => {
  const id = await store.keep(fresh.database, new Uint8Array([1, 2]), 'image/png');
  await store.drop(fresh.database, id);
  await store.drop(fresh.database, id);
  await expect(store.read(id)).rejects.toMatchObject({ code: 'queue.file-missing' });
});

test('An id that is no UUID is missing, not a fault of the database', async () => {
  await expect(store.read("x' OR 1=1")).rejects.toMatchObject({ code: 'queue.file-missing' });
});

test('A file beyond the limit is refused and one at the limit is kept', async () => {
  const tooLarge = store.keep(fresh.database, new Uint8Array(KEPT_FILE_BYTES_MAX + 1), 'image/png');
  await expect(tooLarge).rejects.toMatchObject({ code: 'queue.file-too-large' });
  await store.keep(fresh.database, new Uint8Array(KEPT_FILE_BYTES_MAX), 'image/png');
});

test('The sweep forgets files older than the days given, in several statements, and no others', async () => {
  const young = await store.keep(fresh.database, new Uint8Array([1]), 'image/png');
  await fresh.database.run({
    text: `INSERT INTO kept_file (id, media_type, content, created_at)
           SELECT gen_random_uuid(), 'image/png', '\\x00', now() - interval '15 days' FROM generate_series(1, 501)`,
  });
  expect(await store.sweep(14)).toBe(501);
  expect(await store.sweep(14)).toBe(0);
  expect((await store.read(young)).bytes).toHaveLength(1);
});
