"""What a chapter's page needs: plots, style, numbers in sentences, profiles."""
