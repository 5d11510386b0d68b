"""Method fasttext2style-ip2p: an instruction, by an editor of pictures, in rounds."""
