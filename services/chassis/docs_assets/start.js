// SPDX-License-Identifier: Apache-2.0
// A file of its own, because the page's policy allows no inline script.
"use strict";
window.ui = SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  layout: "BaseLayout",
  presets: [SwaggerUIBundle.presets.apis],
  oauth2RedirectUrl: window.location.origin + "/docs/oauth2-redirect.html",
  // No token outlives the page, and no foreign validator is asked.
  persistAuthorization: false,
  validatorUrl: null,
});
