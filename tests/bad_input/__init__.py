"""What each public function must refuse, and with which words."""
