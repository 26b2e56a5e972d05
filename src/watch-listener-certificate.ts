import { Injectable, type OnModuleInit } from '@nestjs/common';
import { InletListener } from './steps/inlet/inlet-listener.ts';
import { AlertWatch } from './steps/message-log/alert-watch.ts';

/** Tells the alerts of the HL7 side when the certificate of the MLLP listener ends: two steps that do not know each other. */
@Injectable()
export class WatchListenerCertificate implements OnModuleInit {
  constructor(
    private readonly listener: InletListener,
    private readonly alerts: AlertWatch,
  ) {}

  onModuleInit(): void {
    this.alerts.useCertificates(() => {
      const days = this.listener.state?.certificateDays ?? null;
      return days === null ? [] : [{ name: 'HL7 listener', days }];
    });
  }
}
