"""Measures the page against the WCAG with axe-core, which runs inside the page."""

from pathlib import Path

AXE = Path(__file__).parent / "node_modules/axe-core/axe.min.js"
# The levels A and AA of the WCAG up to 2.2, and the practices that axe-core recommends.
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def violations(page):
    """The violations as lines of text: the rule, and the elements that break it."""
    assert AXE.exists(), f"{AXE} is missing; `make deps` installs it"
    if not page.run("return 'axe' in window"):
        page.run(AXE.read_text())
    found = page.driver.execute_async_script("""
      const [rules, done] = arguments;
      axe.run(document, { runOnly: rules, resultTypes: ['violations', 'passes'] }).then(done, (error) => done(String(error)));
    """, RULES)
    assert isinstance(found, dict) and len(found["passes"]) > 10, f"axe-core has measured little: {found}"
    return [f"{violation['id']}: {node['html'][:160]} {node['any'][:1] and node['any'][0]['message']}"
            for violation in found["violations"] for node in violation["nodes"]]
