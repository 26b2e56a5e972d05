import { Module, type OnApplicationShutdown } from '@nestjs/common';
import { PixelWorkers } from '../../dicom/pixel-workers.ts';
import { FhirModule } from '../../fhir/fhir.module.ts';
import { PacsObjectStore } from './pacs-object.store.ts';
import { PacsObjectsStep } from './pacs-objects.step.ts';
import { PacsStoreStep } from './pacs-store.step.ts';

/** Results to the PACS: structured report, segmentation, picture, rejection note. */
@Module({
  imports: [FhirModule],
  providers: [
    // One thread of its own: what waits for it is no study on its way to a report.
    { provide: PixelWorkers, useFactory: () => new PixelWorkers({ size: 1 }) },
    PacsObjectStore,
    PacsObjectsStep,
    PacsStoreStep,
  ],
  exports: [PacsObjectsStep, PacsStoreStep],
})
export class PacsResultsModule implements OnApplicationShutdown {
  constructor(private readonly workers: PixelWorkers) {}

  async onApplicationShutdown(): Promise<void> {
    await this.workers.close();
  }
}
