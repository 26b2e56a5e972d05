import type { InstanceStore, StoreFailed, StoreResult } from '../dicom/instance-store.ts';
import type { MultipartPart } from '../dicom/read-multipart.ts';
import type { ArchiveIntake } from './archive-intake.ts';

/** The embedded archive as the place where results are stored: the way of a STOW request, without the request. */
export class ArchiveInstanceStore implements InstanceStore {
  constructor(private readonly intake: ArchiveIntake) {}

  async store(studyInstanceUid: string, files: readonly Uint8Array[]): Promise<StoreResult> {
    const outcomes = await this.intake.take(partsOf(files), studyInstanceUid);
    const stored: string[] = [];
    const failed: StoreFailed[] = [];
    for (const { sopInstanceUid, failure } of outcomes) {
      if (sopInstanceUid === null) continue;
      if (failure === null) stored.push(sopInstanceUid);
      else failed.push({ sopInstanceUid, reason: failure });
    }
    return { stored, failed };
  }
}

async function* partsOf(files: readonly Uint8Array[]): AsyncGenerator<MultipartPart, void, undefined> {
  for (const file of files) {
    yield { headers: { 'content-type': 'application/dicom' }, body: bodyOf(file) };
  }
}

async function* bodyOf(file: Uint8Array): AsyncGenerator<Buffer, void, undefined> {
  yield Buffer.from(file.buffer, file.byteOffset, file.byteLength);
}
