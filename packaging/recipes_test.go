//go:build packages && recipes

package packaging

import (
	"os"
	"strings"
	"testing"
)

// hclfmt reads HCL, of Terraform and Packer.
const hclfmt = "github.com/hashicorp/hcl/v2/cmd/hclfmt@v2.24.0"

// TestRecipes has each recipe read by its own tool, or the reader of its language where the tool is not free.
func TestRecipes(t *testing.T) {
	t.Run("cloud-init", func(t *testing.T) {
		r := newRoot(t, "bookworm", "cloud-init")
		text, err := os.ReadFile("recipes/cloud-init.yaml")
		if err != nil {
			t.Fatal(err)
		}
		r.write(t, "recipe.yaml", string(text))
		if out := r.run(t, "cloud-init", "schema", "--config-file", "/recipe.yaml"); !strings.Contains(out, "Valid cloud-config") {
			t.Error(out)
		}
	})
	t.Run("ansible", func(t *testing.T) {
		command(t, "env", "LC_ALL=C.UTF-8", "ANSIBLE_HOME="+t.TempDir(), "ansible-playbook", "--syntax-check", "-i", "localhost,", "recipes/ansible/site.yml")
	})
	t.Run("hcl", func(t *testing.T) {
		command(t, "go", "run", hclfmt, "-check", "recipes/main.tf", "recipes/image.pkr.hcl")
	})
}
