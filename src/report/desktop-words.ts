/**
 * What a person at a screen reads, in each language. Nothing from outside is in it but numbers and codes of the catalogue, so that no
 * name on a stick can bring markup, of which notification servers understand some (Desktop Notifications Specification, “Markup”).
 */
import { catalogue } from '../core/catalogue.ts';
import type { Answer, Notice, NoticeKind } from '../core/run/notices.ts';

export type Language = 'en' | 'de' | 'fr';

/** `{n}`: the release’s sequence, `{code}`: why, `{minutes}`: how many are left, `{part}` of `{of}`: a medium. */
interface Words {
  readonly answers: Readonly<Record<Answer, string>>;
  readonly notices: Readonly<Record<NoticeKind, readonly [title: string, body: string]>>;
  /** In place of `{n}` where a release has none. */
  readonly unnumbered: string;
  /** Added to a medium’s notice if it must be unmounted before it is removed. */
  readonly eject: string;
  readonly failed: string;
}

const en: Words = {
  answers: {
    restart: 'Restart now',
    later: 'Later',
    keep: 'Keep this system',
    approve: 'Install it',
    refuse: 'Not now',
  },
  notices: {
    restart: ['An update is installed', 'Release {n} takes effect when this machine is restarted.'],
    'restart-for-the-rest': [
      'An update is installed',
      'Release {n} is running, but some of it, such as the kernel, needs a restart.',
    ],
    keep: [
      'Is everything working?',
      'This machine started release {n}. Unless someone keeps it within {minutes} min, it returns to the system before.',
    ],
    approve: ['Install an update?', 'Release {n} is verified and ready. Please answer within {minutes} min.'],
    'rolled-back': [
      'An update was undone',
      'Release {n} did not work here, and the system before it is running again ({code}).',
    ],
    'not-installed': [
      'An update failed',
      'Release {n} was not installed ({code}). Run “nixmaker status” to see what to do.',
    ],
    'medium-committed': ['You may remove the medium', 'Release {n} is installed and running.'],
    'medium-pending': ['You may remove the medium', 'Release {n} is installed and runs from the next start.'],
    'medium-staged': [
      'You may remove the medium',
      'Release {n} is ready, and is installed from here when its time comes ({code}).',
    ],
    'medium-part': [
      'You may remove the medium',
      'Release {n} comes on several media. Bring part {part} of {of} next.',
    ],
    'medium-not-installed': ['You may remove the medium', 'Release {n} was not installed ({code}).'],
    'medium-done': ['You may remove the medium', 'It has nothing new for this machine.'],
    'medium-nothing': ['You may remove the medium', 'It has nothing for this machine.'],
    'medium-unreadable': ['The medium cannot be read', 'Remove it and use another one.'],
    'medium-misnamed': [
      'You may remove the medium',
      'A file on it may be a bundle with the wrong name. The name must end in .tar.',
    ],
    'medium-silent': [
      'The medium has stopped responding',
      'Pull it out and plug it in again, or use another one.',
    ],
  },
  unnumbered: 'without a number',
  eject: 'Eject it first.',
  failed: 'That did not work. Ask an administrator.',
};

const de: Words = {
  answers: {
    restart: 'Jetzt neu starten',
    later: 'Später',
    keep: 'Dieses System behalten',
    approve: 'Installieren',
    refuse: 'Jetzt nicht',
  },
  notices: {
    restart: ['Ein Update ist installiert', 'Version {n} läuft nach dem nächsten Neustart.'],
    'restart-for-the-rest': [
      'Ein Update ist installiert',
      'Version {n} läuft, aber ein Teil davon, etwa der Kernel, braucht einen Neustart.',
    ],
    keep: [
      'Funktioniert alles?',
      'Dieses Gerät läuft mit Version {n}. Behält sie niemand innerhalb von {minutes} min, kehrt es zum vorigen System zurück.',
    ],
    approve: [
      'Update installieren?',
      'Version {n} ist geprüft und bereit. Bitte innerhalb von {minutes} min antworten.',
    ],
    'rolled-back': [
      'Ein Update wurde zurückgenommen',
      'Version {n} hat hier nicht funktioniert; das vorige System läuft wieder ({code}).',
    ],
    'not-installed': [
      'Ein Update ist fehlgeschlagen',
      'Version {n} wurde nicht installiert ({code}). Was zu tun ist, zeigt „nixmaker status“.',
    ],
    'medium-committed': ['Der Datenträger kann entfernt werden', 'Version {n} ist installiert und läuft.'],
    'medium-pending': [
      'Der Datenträger kann entfernt werden',
      'Version {n} ist installiert und läuft ab dem nächsten Start.',
    ],
    'medium-staged': [
      'Der Datenträger kann entfernt werden',
      'Version {n} liegt bereit und wird ohne ihn installiert, wenn es so weit ist ({code}).',
    ],
    'medium-part': [
      'Der Datenträger kann entfernt werden',
      'Version {n} kommt auf mehreren Datenträgern. Als Nächstes wird Teil {part} von {of} gebraucht.',
    ],
    'medium-not-installed': [
      'Der Datenträger kann entfernt werden',
      'Version {n} wurde nicht installiert ({code}).',
    ],
    'medium-done': ['Der Datenträger kann entfernt werden', 'Er enthält nichts Neues für dieses Gerät.'],
    'medium-nothing': ['Der Datenträger kann entfernt werden', 'Er enthält nichts für dieses Gerät.'],
    'medium-unreadable': ['Der Datenträger ist nicht lesbar', 'Bitte entfernen und einen anderen verwenden.'],
    'medium-misnamed': [
      'Der Datenträger kann entfernt werden',
      'Eine Datei darauf ist vielleicht ein Update mit falschem Namen. Er muss auf .tar enden.',
    ],
    'medium-silent': [
      'Der Datenträger antwortet nicht mehr',
      'Bitte herausziehen und neu einstecken oder einen anderen verwenden.',
    ],
  },
  unnumbered: 'ohne Nummer',
  eject: 'Bitte vorher auswerfen.',
  failed: 'Das hat nicht funktioniert. Bitte die Administration fragen.',
};

const fr: Words = {
  answers: {
    restart: 'Redémarrer maintenant',
    later: 'Plus tard',
    keep: 'Garder ce système',
    approve: 'Installer',
    refuse: 'Pas maintenant',
  },
  notices: {
    restart: [
      'Une mise à jour est installée',
      'La version {n} sera active après le redémarrage de cette machine.',
    ],
    'restart-for-the-rest': [
      'Une mise à jour est installée',
      'La version {n} est active, mais une partie, comme le noyau, demande un redémarrage.',
    ],
    keep: [
      'Est-ce que tout fonctionne ?',
      'Cette machine a démarré la version {n}. Si personne ne la garde d’ici {minutes} min, elle revient au système précédent.',
    ],
    approve: [
      'Installer une mise à jour ?',
      'La version {n} est vérifiée et prête. Merci de répondre d’ici {minutes} min.',
    ],
    'rolled-back': [
      'Une mise à jour a été annulée',
      'La version {n} ne fonctionnait pas ici ; le système précédent est de nouveau actif ({code}).',
    ],
    'not-installed': [
      'Une mise à jour a échoué',
      'La version {n} n’a pas été installée ({code}). « nixmaker status » indique quoi faire.',
    ],
    'medium-committed': ['Vous pouvez retirer le support', 'La version {n} est installée et active.'],
    'medium-pending': [
      'Vous pouvez retirer le support',
      'La version {n} est installée et sera active au prochain démarrage.',
    ],
    'medium-staged': [
      'Vous pouvez retirer le support',
      'La version {n} est prête et sera installée sans lui, le moment venu ({code}).',
    ],
    'medium-part': [
      'Vous pouvez retirer le support',
      'La version {n} est répartie sur plusieurs supports. Apportez ensuite le nº {part} sur {of}.',
    ],
    'medium-not-installed': [
      'Vous pouvez retirer le support',
      'La version {n} n’a pas été installée ({code}).',
    ],
    'medium-done': ['Vous pouvez retirer le support', 'Il ne contient rien de nouveau pour cette machine.'],
    'medium-nothing': ['Vous pouvez retirer le support', 'Il ne contient rien pour cette machine.'],
    'medium-unreadable': ['Le support est illisible', 'Retirez-le et utilisez-en un autre.'],
    'medium-misnamed': [
      'Vous pouvez retirer le support',
      'Un de ses fichiers est peut-être une mise à jour mal nommée. Le nom doit se terminer par .tar.',
    ],
    'medium-silent': [
      'Le support ne répond plus',
      'Débranchez-le et rebranchez-le, ou utilisez-en un autre.',
    ],
  },
  unnumbered: 'sans numéro',
  eject: 'Éjectez-le d’abord.',
  failed: 'Cela n’a pas fonctionné. Demandez à l’administration.',
};

const words: Readonly<Record<Language, Words>> = { en, de, fr };

/** By the locale of messages, in setlocale(3)’s order; English for any other. */
export function languageOf(env: NodeJS.ProcessEnv): Language {
  const locale = env.LC_ALL || env.LC_MESSAGES || env.LANG || '';
  const language = locale.slice(0, 2).toLowerCase();
  return language === 'de' || language === 'fr' ? language : 'en';
}

export interface NoticeText {
  readonly title: string;
  readonly body: string;
  readonly answers: readonly (readonly [Answer, string])[];
}

export function noticeText(notice: Notice, language: Language): NoticeText {
  const { notices, answers, unnumbered, eject } = words[language];
  const [title, said] = notices[notice.kind];
  const body = notice.eject === true ? `${said} ${eject}` : said;
  const values: Readonly<Record<string, string>> = {
    n: notice.sequence === undefined ? unnumbered : String(notice.sequence),
    // A newer nixmaker’s code, or what is none.
    code: notice.code !== undefined && Object.hasOwn(catalogue, notice.code) ? notice.code : '?',
    part: String(notice.bring?.part ?? '?'),
    of: String(notice.bring?.of ?? '?'),
    minutes: String(Math.max(1, Math.floor((notice.secondsLeft ?? 0) / 60))),
  };
  return {
    title,
    body: body.replace(/\{(\w+)\}/g, (_, name: string) => values[name] ?? ''),
    answers: notice.answers.map((answer) => [answer, answers[answer]]),
  };
}

/** Shown if what a person asked for could not be done. */
export const failedText = (language: Language): string => words[language].failed;
