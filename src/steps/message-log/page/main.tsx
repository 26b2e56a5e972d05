import { startPage } from '../../../browser/start-page.ts';
import { TabSession } from '../../../browser/tab-session.ts';
import { App } from './app.tsx';

/** To see and to act; patient data only for those whose role may see them. */
const SCOPE = 'openid fhirUser user/Task.ru user/Patient.r';
const session = new TabSession({ id: 'operator', scope: SCOPE });
startPage(session, <App session={session} />);
