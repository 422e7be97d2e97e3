import { editorTypeOf, FORMS, viewTypeOf } from '../../contract/webview/forms.ts';
import { CONFIGURATION_GLOBS } from '../languages/documents.ts';
import { type Contributions, type MenuContribution, text } from './contribution.ts';

const FILES = ['inferenceconfig', 'deploymentconfig'] as const;

const IS_CONFIGURATION = 'resourceFilename =~ /(inference|deploy(ment)?)[-_]?config.*\\.(json|ya?ml)$/i';
const IS_FORM = FILES.map((file) => `activeCustomEditorId == ${editorTypeOf(file)}`).join(' || ');

const ABOVE_EDITOR = { menu: 'editor/title', group: 'navigation' } satisfies MenuContribution;

/** The form is an option, not the default: diffs and Git show text, and one click goes from either to the other. */
export const FORM_CONTRIBUTIONS: Contributions = {
  commands: [
    {
      id: 'aksml.configuration.openForm',
      title: 'Open Form',
      icon: 'settings',
      palette: IS_CONFIGURATION,
      menus: [
        { ...ABOVE_EDITOR, when: `${IS_CONFIGURATION} && !activeCustomEditorId` },
        { menu: 'explorer/context', when: IS_CONFIGURATION, group: 'navigation@30' },
      ],
    },
    {
      id: 'aksml.configuration.openAsText',
      title: 'Open as Text',
      icon: 'go-to-file',
      palette: IS_FORM,
      menus: [{ ...ABOVE_EDITOR, when: IS_FORM }],
    },
  ],
  activationEvents: FORMS.filter((form) => form !== 'configuration').map(
    (form) => `onWebviewPanel:${viewTypeOf(form)}`,
  ),
  points: {
    customEditors: FILES.map((file) => ({
      viewType: editorTypeOf(file),
      displayName:
        file === 'inferenceconfig'
          ? text('editor.inferenceconfig', 'Inference Configuration Form')
          : text('editor.deploymentconfig', 'Deployment Configuration Form'),
      selector: CONFIGURATION_GLOBS[file].map((filenamePattern) => ({ filenamePattern })),
      priority: 'option',
    })),
  },
};
