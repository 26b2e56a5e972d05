import { startPage } from '../../../browser/start-page.ts';
import { TabSession } from '../../../browser/tab-session.ts';
import { App } from './app.tsx';

const session = new TabSession({ id: 'worklist', scope: 'openid fhirUser user/*.rs' });
startPage(session, <App session={session} />);
