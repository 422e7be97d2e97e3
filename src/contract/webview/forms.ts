/** Every form: its folder in `webview-ui/`, its script, and the end of its view type. */
export const FORMS = ['cluster', 'configuration', 'deploy', 'endpoint', 'keys', 'model', 'request', 'rollout'] as const;
export type FormName = (typeof FORMS)[number];

/** `aksml.rollout` */
export function viewTypeOf(form: FormName): string {
  return `aksml.${form}`;
}

/** The types of editor for the two configuration files. */
export function editorTypeOf(file: 'inferenceconfig' | 'deploymentconfig'): string {
  return `aksml.${file}`;
}
