import { join } from 'node:path';
import type { DicomJson, FetchedInstances, SeenStudy, StudySource } from '../dicom/study-source.ts';
import { type Clock, systemClock } from '../kernel/clock.ts';
import { Failure } from '../kernel/errors.ts';
import type { ArchivePlace } from './archive.controller.ts';
import { ArchiveStore } from './archive.store.ts';
import type { ReceivingStudies } from './receiving-studies.ts';

/** Studies of the embedded archive: metadata from the index, the files where they lie. */
export class ArchiveSource implements StudySource {
  readonly endpoint: string;

  constructor(
    private readonly store: ArchiveStore,
    private readonly place: ArchivePlace,
    private readonly receiving: ReceivingStudies,
    private readonly clock: Clock = systemClock,
  ) {
    this.endpoint = place.root;
  }

  /** By the time of storing: in our own archive that is known, whatever the study date says. */
  recentStudies(sinceHours: number): Promise<readonly SeenStudy[]> {
    return this.store.storedSince(new Date(this.clock.now().getTime() - sinceHours * 3_600_000));
  }

  countInstances(studyInstanceUid: string): Promise<number> {
    return this.store.count(studyInstanceUid);
  }

  isGrowing(studyInstanceUid: string): boolean {
    return this.receiving.has(studyInstanceUid);
  }

  async metadata(studyInstanceUid: string): Promise<readonly DicomJson[]> {
    const all: DicomJson[] = [];
    for await (const texts of this.store.metadata({ studyInstanceUid })) {
      for (const text of texts) all.push(JSON.parse(text) as DicomJson);
    }
    return all;
  }

  async fetch(
    studyInstanceUid: string,
    seriesInstanceUid: string,
    sopInstanceUids: readonly string[],
  ): Promise<FetchedInstances> {
    const files = new Map(
      (await this.store.files({ studyInstanceUid, seriesInstanceUid })).map((file) => [
        file.sopInstanceUid,
        file.path,
      ]),
    );
    const instances = sopInstanceUids.map((sopInstanceUid) => {
      const path = files.get(sopInstanceUid);
      if (path === undefined)
        throw new Failure('archive.not-found', 'The archive does not have every instance asked for.');
      return { sopInstanceUid, path: join(this.place.folder, path) };
    });
    return { instances, release: async () => undefined };
  }
}
